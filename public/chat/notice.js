import { element, setText } from './dom.js';

const notice = element('notice', HTMLElement);
element('notice-dismiss', HTMLButtonElement).addEventListener('click', () => say(''));

/**
 * Tells the person something important, until it is dismissed.
 *
 * @param {string} sentence empty to remove it
 */
export function say(sentence) {
  const [text] = notice.getElementsByTagName('p');
  if (text !== undefined) setText(text, sentence);
  notice.hidden = sentence === '';
}
