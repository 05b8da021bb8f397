import { element } from './dom.js';

/** @import { Status } from '../client.js' */

/** @type {Record<string, string>} */
const GAPS = {
  purged: 'Some messages were purged before they could reach this page. What is left is shown.',
  restored: 'The server’s log went back in time. What it holds now is shown anew.',
  unknown: 'The server cannot tell where this page stopped. What it holds now is shown anew.',
};

/** What passes sooner than this is not worth a word, least of all one that is read aloud. */
const SOON_MILLISECONDS = 700;

/** What the connection is like, in a line. */
export class Banner {
  #line = element('banner', HTMLElement);
  #gap = element('gap', HTMLElement);
  #again = element('again', HTMLButtonElement);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #soon;

  /** @param {() => void} onAgain */
  constructor(onAgain) {
    this.#again.addEventListener('click', onAgain);
    element('gap-dismiss', HTMLButtonElement).addEventListener('click', () => (this.#gap.hidden = true));
  }

  /** @param {Status} status */
  show(status) {
    clearTimeout(this.#soon);
    const wasLive = this.#line.dataset['state'] === 'live';
    const mayPass = status.waiting > 0 || status.state === 'connecting' || status.state === 'catching-up';
    if (wasLive && mayPass && status.caughtUp === 0)
      this.#soon = setTimeout(() => this.#show(status), SOON_MILLISECONDS);
    else this.#show(status);
  }

  /** There is no connection yet, and why. @param {string} detail */
  showOffline(detail) {
    this.show({ state: 'offline', transport: 'stream', shared: false, detail, caughtUp: 0, waiting: 0 });
  }

  /** @param {Status} status */
  #show(status) {
    this.#line.dataset['state'] = status.state;
    this.#line.textContent = textOf(status);
    this.#again.hidden = !['offline', 'refused', 'expired'].includes(status.state);
  }

  /** @param {string} reason */
  showGap(reason) {
    const [text] = this.#gap.getElementsByTagName('p');
    if (text !== undefined) text.textContent = GAPS[reason] ?? `Messages are missing: ${reason}`;
    this.#gap.hidden = false;
  }
}

/** @param {Status} status */
function textOf({ state, transport, detail, caughtUp, waiting }) {
  const held = waiting === 0 ? '' : ` · ${waiting} waiting to be sent`;
  switch (state) {
    case 'connecting':
      return `Connecting…${held}`;
    case 'catching-up':
      return `Catching up${caughtUp === 0 ? '' : ` (${caughtUp})`}…${held}`;
    case 'live':
      return `Live${transport === 'polling' ? ' (polling: something on the way keeps streams back)' : ''}${held}`;
    case 'offline':
      return `Offline: ${detail}${held}`;
    case 'expired':
      return `Signed out: ${detail}${held}`;
    case 'refused':
      return `Refused: ${detail}${held}`;
  }
}
