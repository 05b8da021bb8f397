import { aborted, pause, spread } from './backoff.js';
import { listen, openChannel, siteLocks } from './environment.js';

/**
 * A message between tabs. The holder of the lock adds its term and its silence; `asks`: whether the holder is still there;
 * `message` is the user's.
 *
 * @template TabMessage
 * @typedef {{ term?: number, silence?: number, asks?: boolean, message?: TabMessage }} Said
 */

/**
 * @template TabMessage
 * @typedef {object} SharedLockEvents
 * @property {() => void} onGain this tab has the lock
 * @property {() => void} [onLose] this tab has the lock no more, and did not let go of it itself
 * @property {(message: TabMessage, isLate: boolean) => void} onHear another tab said something; `isLate`: it held the lock
 *   once, and another has taken it since
 * @property {() => void} [onHide] the page is being left, perhaps to be shown again; others can still be told
 * @property {() => void} [onShow] the page is shown again, or for the first time, or its visibility is another
 */

/**
 * @template TabMessage
 * @typedef {ReturnType<typeof openSharedLock<TabMessage>>} SharedLock
 */

/** How often the holder of a lock says that it is there. */
const ALIVE_MILLISECONDS = 5000;

/** How long an answer of the holder is waited for: random, so that not all who wait take the lock. */
const ANSWER = { min: 500, max: 2500 };

/**
 * Returns a Web Lock that one of the tabs of a browser holds, and the channel between those tabs. Listens to them and to the page.
 *
 * When the holder is closed or crashes, the browser gives the lock to the next tab that waits. The holder lets go of it
 * when its page is put into the back/forward cache or is frozen, and asks for it again when the page is back. A holder
 * that hangs, in an endless loop or behind a dialog, keeps its lock: so it says regularly that it is there, and another
 * tab takes the lock from one that is silent and does not answer.
 *
 * A tab can be taken for dead though it lives, and learns of it late: each holder has a term, greater than those of the
 * ones before it, and what an earlier holder says is marked as late.
 *
 * If there are no locks or no channels (on pages that are not served securely, or where the browser forbids them), each
 * tab has the lock for itself.
 *
 * @template TabMessage the messages between the tabs
 * @param {string} name the same for all of these tabs
 * @param {number} silence after which the holder is asked whether it is there, in milliseconds. Its holder sets it for all
 * @param {SharedLockEvents<TabMessage>} events
 */
export function openSharedLock(name, silence, { onGain, onLose, onHear, onHide, onShow }) {
  const locks = siteLocks();
  /** @type {BroadcastChannel | undefined} */
  let channel;
  let isWanted = false;
  let isHeld = false;
  /** Whether the page is left, frozen, or in the back/forward cache. */
  let isAway = false;
  /** The present try to get and keep the lock: aborting it takes the request back, or lets go of the lock. */
  let attempt = new AbortController();
  /** Of this tab while it holds the lock, else of the newest holder that was heard. */
  let term = 0;
  let heardAt = 0;
  const closed = new AbortController();
  join();
  listen('pagehide', (/** @type {PageTransitionEvent} */ event) => hide(event.persisted), closed.signal);
  listen('pageshow', show, closed.signal);
  listen('freeze', () => hide(true), closed.signal);
  listen('resume', show, closed.signal);
  listen('visibilitychange', () => isAway || onShow?.(), closed.signal);

  function join() {
    if (locks) channel = openChannel(name, hear);
  }

  function leave() {
    // Messages that have arrived would still be told.
    if (channel) channel.onmessage = null;
    channel?.close();
    channel = undefined;
  }

  /** @param {boolean} stays whether the page may be shown again */
  function hide(stays) {
    if (isAway) return;
    isAway = true;
    onHide?.();
    if (!stays) return;
    lose();
    // A browser drops a page from its back/forward cache when something is said to it.
    leave();
  }

  function show() {
    if (isAway) {
      isAway = false;
      join();
      if (isWanted) ask();
    }
    onShow?.();
  }

  /** @param {boolean} [steals] whether the lock is taken from the tab that has it */
  function ask(steals = false) {
    attempt.abort();
    attempt = new AbortController();
    const { signal } = attempt;
    heardAt = Date.now();
    const hold = () => {
      // It was taken back between the grant and this call.
      if (signal.aborted) return undefined;
      isHeld = true;
      term = Math.max(Date.now(), term + 1);
      post();
      onGain();
      return aborted(signal);
    };
    /** @type {LockOptions} */
    const options = steals ? { steal: true } : { signal };
    Promise.resolve()
      .then(() => (channel && locks ? locks.request(name, options, hold) : hold()))
      .catch(() => {
        if (signal.aborted) return;
        // The browser forbids it; else another tab has taken it.
        if (!isHeld) leave();
        giveWay();
      });
    void watch(signal);
  }

  function lose() {
    attempt.abort();
    if (!isHeld) return;
    isHeld = false;
    onLose?.();
  }

  /** Begins again to wait for the lock: another tab has taken it, say. */
  function giveWay() {
    lose();
    if (isWanted) ask();
  }

  /**
   * Says regularly that this tab has the lock, or takes it from one that is silent.
   *
   * @param {AbortSignal} signal of the present attempt
   */
  async function watch(signal) {
    while (!signal.aborted) {
      const heardBefore = heardAt;
      if (isHeld) {
        post();
      } else if (Math.abs(Date.now() - heardBefore) >= silence) {
        // Timers of hidden tabs may wait for a minute, and messages do not. After a sleep they may be still on their way.
        post({ asks: true });
        setTimeout(() => {
          if (!signal.aborted && !isHeld && heardAt === heardBefore) ask(true);
        }, spread(ANSWER));
      }
      await pause(ALIVE_MILLISECONDS, signal);
    }
  }

  /** @param {MessageEvent<Said<TabMessage>>} event */
  function hear({ data: { term: ofHolder = NaN, silence: ofAll = silence, asks, message } }) {
    // Neither this nor the opposite if it is not of a holder.
    const isLate = ofHolder < term;
    if (ofHolder >= term) {
      if (isHeld && ofHolder > term) giveWay();
      term = ofHolder;
      silence = ofAll;
      heardAt = Date.now();
    }
    // One that holds the lock of a later term tells an earlier holder that it is one.
    if (isHeld && (asks === true || isLate)) post();
    if (message !== undefined) onHear(message, isLate);
  }

  /** Says something, and that this tab has the lock if so. @param {Said<TabMessage>} [said] */
  function post(said) {
    channel?.postMessage({ ...(isHeld ? { term, silence } : {}), ...said });
  }

  function release() {
    isWanted = false;
    isHeld = false;
    attempt.abort();
  }

  return {
    /** Whether this tab has the lock. */
    get isHeld() {
      return isHeld;
    },

    /** Sets the silence after which the holder is asked whether it is there. Call it as the holder. @param {number} milliseconds */
    set silence(milliseconds) {
      silence = milliseconds;
    },

    /** Asks for the lock, if that was not done: `onGain` is called when this tab has it, never before this returns. */
    request() {
      if (isWanted) return;
      isWanted = true;
      if (!isAway) ask();
    },

    /** Lets go of the lock, or asks for it no more. */
    release,

    /** Sends a message to the other tabs. @param {TabMessage} message */
    say(message) {
      post({ message });
    },

    /** Leaves the other tabs, and lets go of the lock. */
    close() {
      release();
      closed.abort();
      leave();
    },
  };
}
