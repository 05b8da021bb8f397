import { pause } from '../client/backoff.js';
import { tabStorage } from '../client/storage.js';
import { element, isolated } from './dom.js';

/** @import { Api } from './api.js' */
/** @import { Following } from './following.js' */
/** @import { Notifications } from './notifications.js' */
/** @import { Outgoing } from './outgoing.js' */
/** @import { TabCopy } from './tab-copy.js' */

/** How long signing out waits for each step, for example for notifications that are just being turned on. */
const STEP_MILLISECONDS = 5000;

/** The end of a person's chat in this window. */
export class SignOut {
  #api;
  #me;
  #isOpen;
  #parts;
  #isEnding = false;

  /**
   * @param {Api} api
   * @param {string} me
   * @param {boolean} isOpen whether the service has no key: other windows may then be other people's, and
   *   stay signed in
   * @param {{ following: Following, outgoing: Outgoing, notifications: Notifications, copy: TabCopy }} parts
   */
  constructor(api, me, isOpen, parts) {
    this.#api = api;
    this.#me = me;
    this.#isOpen = isOpen;
    this.#parts = parts;
  }

  /**
   * Signs out. Asks first if there are unsent messages. With a key, this ends the session for all windows,
   * and removes what the browser stores for it.
   *
   * @returns {Promise<boolean>} `false` if the person decides to stay
   */
  async run() {
    const { following, outgoing, notifications } = this.#parts;
    const unsent = outgoing.count(following.connection);
    if (unsent > 0 && !(await ask(unsent, this.#isOpen ? this.#me : undefined))) return false;
    // The window may be closed before all of this is done.
    if (!this.#isOpen) this.#api.leave();
    for (const step of [() => notifications.turnOff(), () => this.#end()])
      await Promise.race([step().catch(() => undefined), pause(STEP_MILLISECONDS)]);
    return true;
  }

  /** Reloads the page for somebody else, or for nobody: nothing of this person stays in sight. */
  giveWay() {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#parts.copy.close();
    element('app', HTMLElement).hidden = true;
    location.reload();
  }

  /** @throws {Problem | Unreachable} if the service cannot be told */
  async #end() {
    const { following, copy } = this.#parts;
    this.#isEnding = true;
    copy.close();
    if (this.#isOpen) {
      following.connection?.close();
      tabStorage.clear(this.#api.keptName(''));
      return;
    }
    const ended = following.signOut();
    // It removed this note too, with everything that is stored.
    this.#api.leave();
    await ended;
  }
}

/**
 * Asks whether to sign out although there are unsent messages.
 *
 * @param {number} count the number of these messages
 * @param {string | undefined} waiting the name for which they wait in this browser; `undefined` if they are
 *   lost
 * @returns {Promise<boolean>}
 */
function ask(count, waiting) {
  const dialog = element('unsent', HTMLDialogElement);
  const leave = element('unsent-leave', HTMLButtonElement);
  const [isOne, them] = [count === 1, count === 1 ? 'it' : 'them'];
  element('unsent-title', HTMLElement).textContent = isOne
    ? '1 message has not been sent yet'
    : `${count} messages have not been sent yet`;
  element('unsent-hint', HTMLElement).textContent =
    waiting === undefined
      ? `Sign out and lose ${them}?`
      : `${isOne ? 'It waits' : 'They wait'} in this browser until somebody signs in as ${isolated(waiting)} again.`;
  leave.textContent = waiting === undefined ? `Sign out and lose ${them}` : 'Sign out';
  return new Promise((resolve) => {
    let isLeaving = false;
    leave.onclick = () => {
      isLeaving = true;
      dialog.close();
    };
    element('unsent-stay', HTMLButtonElement).onclick = () => dialog.close();
    dialog.onclose = () => resolve(isLeaving);
    dialog.showModal();
  });
}
