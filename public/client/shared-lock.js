import { aborted, pause, spread } from './backoff.js';
import { listen, openChannel, siteLocks } from './environment.js';

/**
 * A message between tabs. The holder of the lock adds its term and its silence. `asks`: asks the holder
 * whether it is still there; `message`: the caller's message.
 *
 * @template TabMessage
 * @typedef {{ term?: number, silence?: number, asks?: boolean, message?: TabMessage }} Said
 */

/**
 * @template TabMessage
 * @typedef {object} SharedLockEvents
 * @property {() => void} onGain this tab has got the lock
 * @property {() => void} [onLose] this tab has lost the lock, without letting go of it
 * @property {(message: TabMessage, isLate: boolean) => void} onHear another tab said something; `isLate`: it
 *   held the lock once, and another tab has taken it since
 * @property {() => void} [onHide] the page is being left, perhaps to be shown again; other tabs can still be
 *   told
 * @property {() => void} [onShow] the page is shown, for the first time or again, or its visibility has
 *   changed
 */

/**
 * @template TabMessage
 * @typedef {ReturnType<typeof openSharedLock<TabMessage>>} SharedLock
 */

/** How often the holder of a lock says that it is there. */
const ALIVE_MILLISECONDS = 5000;

/** How long to wait for an answer of the holder: random, so that not all tabs that wait take the lock. */
const ANSWER = { min: 500, max: 2500 };

/**
 * Returns a Web Lock that one of the tabs of a browser holds, and the channel between those tabs. Listens to
 * them and to the page.
 *
 * When the holder is closed or crashes, the browser gives the lock to the next tab that waits. The holder
 * lets go of it when its page is put into the back/forward cache or is frozen, and asks for it again when the
 * page is back. A holder that hangs, in an endless loop or behind a dialog, keeps its lock. So a holder says
 * regularly that it is there, and another tab takes the lock from one that is silent and does not answer.
 *
 * A tab can be taken for dead although it lives, and finds out late. So each holder has a term, greater than
 * all earlier ones, and messages of an earlier holder are marked as late.
 *
 * If there are no locks or no channels (on pages that are not served securely, or if the browser forbids
 * them), each tab has a lock of its own.
 *
 * @template TabMessage the messages between the tabs
 * @param {string} name the same for all of these tabs
 * @param {number} silence after how many milliseconds of silence the holder is asked whether it is there; the
 *   holder sets it for all tabs
 * @param {SharedLockEvents<TabMessage>} events
 */
export function openSharedLock(name, silence, { onGain, onLose, onHear, onHide, onShow }) {
  const locks = siteLocks();
  /** @type {BroadcastChannel | undefined} */
  let channel;
  let isWanted = false;
  let isHeld = false;
  /** Whether the page is being left, frozen, or in the back/forward cache. */
  let isAway = false;
  /** The current try to get and keep the lock. Aborting it takes the request back, or lets go of the lock. */
  let attempt = new AbortController();
  /** The term of this tab while it holds the lock, else of the newest holder that was heard. */
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
    // Otherwise messages that have arrived would still be told.
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
    // A browser drops a page from its back/forward cache when a message comes for it.
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

  /** @param {boolean} [steals] whether to take the lock from the tab that has it */
  function ask(steals = false) {
    attempt.abort();
    attempt = new AbortController();
    const { signal } = attempt;
    heardAt = Date.now();
    const hold = () => {
      // The request was taken back between the grant and this call.
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
        // If the lock was not held, the browser forbids it; otherwise another tab has taken it.
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

  /** Gives up the lock and waits for it again, for example because another tab has taken it. */
  function giveWay() {
    lose();
    if (isWanted) ask();
  }

  /**
   * Says regularly that this tab has the lock, or takes it from one that is silent.
   *
   * @param {AbortSignal} signal of the current try
   */
  async function watch(signal) {
    while (!signal.aborted) {
      const heardBefore = heardAt;
      if (isHeld) {
        post();
      } else if (Math.abs(Date.now() - heardBefore) >= silence) {
        // A hidden tab's timers may be a minute late, its messages are not. After a sleep they may be on
        // their way.
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
    // Both comparisons are false if the message is not from a holder.
    const isLate = ofHolder < term;
    if (ofHolder >= term) {
      if (isHeld && ofHolder > term) giveWay();
      term = ofHolder;
      silence = ofAll;
      heardAt = Date.now();
    }
    // The holder of a later term tells an earlier holder that there is one.
    if (isHeld && (asks === true || isLate)) post();
    if (message !== undefined) onHear(message, isLate);
  }

  /** Posts a message, which also says so if this tab has the lock. @param {Said<TabMessage>} [said] */
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

    /**
     * After how many milliseconds of silence the holder is asked whether it is there. For the holder to set.
     *
     * @param {number} milliseconds
     */
    set silence(milliseconds) {
      silence = milliseconds;
    },

    /**
     * Asks for the lock, unless that was done. `onGain` is called when this tab has it, and not before this
     * returns.
     */
    request() {
      if (isWanted) return;
      isWanted = true;
      if (!isAway) ask();
    },

    /** Lets go of the lock, or takes the request for it back. */
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
