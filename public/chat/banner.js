import { element, setHidden, setText } from './dom.js';
import { say } from './notice.js';

/** @import { Status } from '../client/connect.js' */

/** @type {Record<string, string>} */
const GAPS = {
  purged: 'Some messages were deleted before they reached this page. The others are shown.',
  restored:
    'The service was restored from an older backup: newer messages are gone. If some were yours, send them again.',
  unknown: 'The service does not know which messages this page has missed. Everything is shown again.',
};

const NOTHING_KEPT =
  'This browser cannot store anything for this page: its storage is full or blocked. Unsent messages are lost if you close or reload the page.';

/** How long a passing state is not shown: it would only disturb, above all when it is read aloud. */
const SOON_MILLISECONDS = 700;

/** The line with the state of the connection. */
export class Banner {
  #line = element('banner', HTMLElement);
  #gap = element('gap', HTMLElement);
  #again = element('again', HTMLButtonElement);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #soon;
  /** Whether the person knows that this browser stores nothing. */
  #isWarned = false;

  /** @param {() => void} onAgain */
  constructor(onAgain) {
    this.#again.addEventListener('click', onAgain);
    element('gap-dismiss', HTMLButtonElement).addEventListener('click', () => (this.#gap.hidden = true));
  }

  /** @param {Status} status */
  show(status) {
    if (!status.persistent && !this.#isWarned) say(NOTHING_KEPT);
    this.#isWarned ||= !status.persistent;
    clearTimeout(this.#soon);
    const wasLive = this.#line.dataset['state'] === 'live';
    const mayPass = status.waiting > 0 || status.state === 'connecting' || status.state === 'catching-up';
    if (wasLive && mayPass && status.caughtUp === 0)
      this.#soon = setTimeout(() => this.#show(status), SOON_MILLISECONDS);
    else this.#show(status);
  }

  /**
   * Shows that there is no connection yet.
   *
   * @param {string} detail why
   * @param {number} waiting how many messages wait to be sent
   */
  showOffline(detail, waiting) {
    this.show({
      state: 'offline',
      transport: 'stream',
      shared: false,
      detail,
      problem: null,
      caughtUp: 0,
      waiting,
      persistent: true,
    });
  }

  /** @param {Status} status */
  #show(status) {
    this.#line.dataset['state'] = status.state;
    this.#line.toggleAttribute('data-waiting', status.waiting > 0);
    setText(this.#line, textOf(status));
    setHidden(this.#again, !['offline', 'refused', 'expired'].includes(status.state));
  }

  /** @param {string} reason */
  showGap(reason) {
    const [text] = this.#gap.getElementsByTagName('p');
    if (text !== undefined) text.textContent = GAPS[reason] ?? `Messages are missing: ${reason}`;
    this.#gap.hidden = false;
  }
}

/** @param {Status} status */
function textOf({ state, transport, detail, problem, caughtUp, waiting }) {
  const held = waiting === 0 ? '' : ` · ${waiting} waiting to be sent`;
  switch (state) {
    case 'connecting':
      return `Connecting…${held}`;
    case 'catching-up':
      return `Catching up${caughtUp === 0 ? '' : ` (${caughtUp})`}…${held}`;
    case 'live':
      return `Live${transport === 'polling' ? ' (polling, because something on the way holds streams back)' : ''}${held}`;
    case 'offline':
      return `Offline: ${detail}${held}`;
    case 'expired':
      return `Signed out: ${detail}${held}`;
    case 'refused':
      return `Refused: ${problem?.status === 403 ? 'you are not allowed to read everything that this page follows.' : detail}${held}`;
    case 'replaced':
    case 'signed-out':
    case 'closed':
      return `Ended: ${detail}. Reload this page.`;
  }
}
