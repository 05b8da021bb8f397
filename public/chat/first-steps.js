import { element, setHidden, setText } from './dom.js';
import { copyText } from './frames.js';

/** @import { Api } from './api.js' */
/** @import { Chat } from './chat.js' */

/** The things to try in an empty conversation: a second window, and a command for a terminal. */
export class FirstSteps {
  #api;
  #me;
  #isOpen;
  #box = element('first-steps', HTMLElement);
  #window = element('second-window', HTMLAnchorElement);
  #command = element('write-command', HTMLElement);

  /**
   * @param {Api} api
   * @param {string} me
   * @param {boolean} isOpen whether the service has no key, so that anybody may use any name
   */
  constructor(api, me, isOpen) {
    this.#api = api;
    this.#me = me;
    this.#isOpen = isOpen;
    const copy = element('write-copy', HTMLButtonElement);
    copy.addEventListener('click', () => void copyText(this.#command.textContent, copy));
  }

  /** @param {Chat} chat @param {boolean} isEmpty whether it has no messages */
  show({ peer, isRoom }, isEmpty) {
    setHidden(this.#box, !isEmpty);
    if (!isEmpty) return;
    const other = isRoom ? 'somebody else' : peer;
    const isMine = peer === this.#me;
    this.#window.hidden = !this.#isOpen || isMine;
    const there = new URL(document.baseURI);
    if (!isRoom) there.searchParams.set('as', peer);
    there.hash = encodeURIComponent(isRoom ? peer : this.#me);
    this.#window.href = there.href;
    setText(this.#window, `Open a second window as ${other}`);
    setText(this.#command, this.#commandTo(peer, isRoom));
  }

  /** @param {string} peer @param {boolean} isRoom */
  #commandTo(peer, isRoom) {
    const sender = isRoom ? 'terminal' : peer;
    const message = {
      ...(this.#isOpen ? { sender } : {}),
      recipient: isRoom ? peer : this.#me,
      content: 'Hello from a terminal',
    };
    const token = this.#isOpen ? '' : ' -H "Authorization: Bearer $TOKEN"';
    const type = "-H 'Content-Type: application/json'";
    return `curl ${type}${token} -d ${quoted(JSON.stringify(message))} ${quoted(this.#api.url('messages'))}`;
  }
}

/** Returns a text as a quoted word of the shell. @param {string} text */
function quoted(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
