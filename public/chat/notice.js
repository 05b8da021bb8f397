import { element, setText } from './dom.js';

const notice = element('notice', HTMLElement);
element('notice-dismiss', HTMLButtonElement).addEventListener('click', () => say(''));

/** Says something that the person has to know, until it is put away. @param {string} sentence empty: takes it away */
export function say(sentence) {
  const [text] = notice.getElementsByTagName('p');
  if (text !== undefined) setText(text, sentence);
  notice.hidden = sentence === '';
}
