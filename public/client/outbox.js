import { aborted, backoff, pause, spread } from './backoff.js';
import { listen } from './environment.js';
import { asFault, Problem, Unreachable } from './errors.js';
import { appendEntry, findEntries, readEntries } from './outbox-entries.js';
import { openSharedLock } from './shared-lock.js';
import { storage } from './storage.js';

/** @import { Fault } from './errors.js' */
/** @import { Stored } from './feed.js' */
/** @import { Service } from './service.js' */

/** @typedef {import('./outbox-entries.js').Draft} Draft */
/** @typedef {import('./outbox-entries.js').Entry} Entry */
/** @typedef {ReturnType<typeof openOutbox>} Outbox */

/**
 * @typedef {object} OutboxEvents
 * @property {() => void} onChange the waiting messages have changed
 * @property {(entry: Entry, problem: Problem) => void} onRefused a message will never be stored
 * @property {() => Promise<unknown>} onExpired gets a new session
 * @property {(fault: Fault) => Promise<boolean>} onFault returns whether the fault has stopped the outbox
 */

/**
 * The outcome of an entry: it is stored, refused, or replaced by another entry.
 *
 * @typedef {{ name: string, message: Stored }
 *   | { name: string, status: number, detail: string }
 *   | { name: string, instead: { name: string, text: string } }} Outcome
 */

/**
 * A message that this page was asked to send, or the one that has replaced it. `isGone`: it was missing from
 * the storage at the last look.
 *
 * @typedef {object} Promised
 * @property {string} name
 * @property {string} text
 * @property {boolean} isGone
 * @property {(message: Stored) => void} resolve
 * @property {(error: Error) => void} reject
 */

/**
 * How often to check that the promised messages are still in the storage: code of the page may clear it. A
 * message that is missing at two looks is put back; another tab that sent it would have said so by then.
 */
const LOOK_MILLISECONDS = 1000;

/** After this much silence the tab that sends is taken for dead, if it does not answer either. */
const SILENCE_MILLISECONDS = 15_000;

/**
 * Returns the outbox, which keeps messages until they are stored, and sends them. Each message is in the
 * browser's storage before `add` returns, under a key that keeps it from being stored twice, so it is sent
 * exactly once over reloads, crashes and lost answers. The messages that this page was asked to send are sent
 * even if the storage is full or cleared.
 *
 * One of the tabs sends, the oldest message first, until none is left: the one that has a lock. If two tabs
 * send for a while, because one was taken for dead, the keys still keep messages from being stored twice.
 *
 * @param {Service} service
 * @param {string} sender the sender of these messages
 * @param {OutboxEvents} events
 */
export function openOutbox(service, sender, { onChange, onRefused, onExpired, onFault }) {
  const prefix = findEntries(service.name, sender);
  /** @type {Set<Promised>} */
  const promised = new Set();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let look;
  let tries = 0;
  /** Aborted to end a wait for the next try. */
  let wake = new AbortController();
  let isSending = false;
  let isClosed = false;
  /** Aborted when nothing is left to do after `close`. */
  const ended = new AbortController();
  // The tab that sends a message is not always the one that was asked to.
  const lock = openSharedLock(prefix, SILENCE_MILLISECONDS, { onGain: () => void sendAll(), onHear: settle });
  listen('storage', onStorage, ended.signal);
  listen('online', retry, ended.signal);
  flush();

  /** Returns the names of the waiting messages, the oldest first. */
  function names() {
    return storage.names(prefix);
  }

  /** Returns the name of the next message to send. */
  function next() {
    return isClosed && promised.size === 0 ? undefined : names()[0];
  }

  /** Sends the waiting messages, unless that is being done already. */
  function flush() {
    if (next() !== undefined) lock.request();
  }

  /** Tries again at once. */
  function retry() {
    tries = 0;
    wakeUp();
    flush();
  }

  function wakeUp() {
    wake.abort();
    wake = new AbortController();
  }

  /** Another tab has added or sent a message, or cleared the storage. @param {StorageEvent} event */
  function onStorage({ key, newValue }) {
    if (isClosed || key?.startsWith(prefix) === false) return;
    onChange();
    // Wait for the lock: the other tab may be gone before it has sent the message.
    if (newValue !== null) flush();
  }

  /** Tells the page what has changed, and lets the closed outbox end when nothing is left to send. */
  function goOn() {
    if (promised.size === 0) clearInterval(look);
    if (!isClosed) onChange();
    else if (!isSending && promised.size === 0) {
      ended.abort();
      lock.close();
    }
  }

  async function sendAll() {
    // This tab had the lock before, and is still sending.
    if (isSending) return;
    isSending = true;
    for (let name = next(); lock.isHeld && name !== undefined; name = next()) {
      // Read first: a wake-up while it sends must not be missed.
      const { signal } = wake;
      const fault = await send(name);
      if (!fault) tries = 0;
      else await waitAfter(fault, signal);
    }
    isSending = false;
    // If another tab has taken the lock, this one waits for it.
    if (lock.isHeld) lock.release();
    goOn();
  }

  /**
   * @param {string} name
   * @returns {Promise<Fault | undefined>} why it must be sent again later; `undefined` if it must not
   */
  async function send(name) {
    const [entry] = readEntries([name]);
    if (!entry) {
      storage.remove(name);
      return undefined;
    }
    try {
      const message = /** @type {Stored | undefined} */ (await service.post('messages', entry));
      // The answer did not come from the service.
      if (message?.id === undefined) return new Unreachable(message);
      finish({ name, message });
    } catch (error) {
      const fault = asFault(error);
      if (await onFault(fault)) return undefined;
      if (fault.passes) return fault;
      const problem = /** @type {Problem} */ (fault);
      finish({ name, status: problem.status, detail: problem.detail });
      onRefused(entry, problem);
    }
    return undefined;
  }

  /**
   * @param {Fault} fault
   * @param {AbortSignal} signal ends the wait
   */
  async function waitAfter(fault, signal) {
    const { status, retryAfter = 0 } = /** @type {Partial<Problem>} */ (fault);
    // A person may have to sign in; another tab may get a session in the meantime.
    if (status === 401) await Promise.race([onExpired().catch(() => undefined), aborted(signal)]);
    await pause(Math.max(spread(backoff(tries++)), retryAfter * 1000), signal);
  }

  /**
   * Has this page send a message, whatever happens to the storage.
   *
   * @param {{ name: string, text: string }} entry
   * @returns {Promise<Stored>}
   */
  function promise({ name, text }) {
    return new Promise((resolve, reject) => {
      if (promised.size === 0) look = setInterval(putBack, LOOK_MILLISECONDS);
      promised.add({ name, text, isGone: false, resolve, reject });
    });
  }

  /** Puts back promised messages that are missing from the storage, and whose outcome is unknown. */
  function putBack() {
    for (const one of promised) {
      const isGone = storage.get(one.name) === undefined;
      if (isGone && one.isGone) storage.set(one.name, one.text);
      one.isGone = isGone;
    }
    goOn();
    flush();
  }

  /** @param {Outcome} outcome */
  function finish(outcome) {
    // Say so first: if this tab crashes in between, the entry is sent again, and nobody waits forever.
    lock.say(outcome);
    storage.remove(outcome.name);
    settle(outcome);
  }

  /** @param {Outcome} outcome */
  function settle(outcome) {
    for (const one of promised) {
      if (one.name !== outcome.name) continue;
      if ('instead' in outcome) {
        Object.assign(one, outcome.instead);
      } else {
        promised.delete(one);
        if ('message' in outcome) one.resolve(outcome.message);
        else one.reject(new Problem(outcome.status, outcome.detail));
      }
    }
    goOn();
  }

  /** @param {readonly string[]} among @param {(entry: Entry) => boolean} which */
  function select(among, which) {
    return among.filter((name) => readEntries([name]).some(which));
  }

  return {
    /** The messages that wait, the oldest first. */
    get entries() {
      return readEntries(names());
    },

    /** The number of messages that wait. */
    get size() {
      return names().length;
    },

    /**
     * Keeps a message until it is stored.
     *
     * @param {Draft} draft
     * @param {(entry: Entry) => boolean} [overtakes] selects messages that this one replaces if they still
     *   wait and were not begun: they get its answer
     * @returns {Promise<Stored>} the stored message. Rejects with a `Problem` that a retry cannot fix, but
     *   never because there is no connection, or no room in the browser's storage
     * @throws {TypeError} if the message is not JSON
     */
    add(draft, overtakes = () => false) {
      const overtaken = select(names().slice(1), overtakes);
      const instead = appendEntry(prefix, draft);
      const stored = promise(instead);
      for (const name of overtaken) finish({ name, instead });
      onChange();
      flush();
      return stored;
    },

    /**
     * Removes messages that wait: they will not be sent. A message on its way cannot be called back.
     *
     * @param {(entry: Entry) => boolean} which
     * @param {string} detail why, in a sentence for people
     */
    drop(which, detail) {
      for (const name of select(names(), which)) finish({ name, status: 409, detail });
    },

    retry,

    /**
     * Stops calling back. Messages that this page was asked to send are still sent and answered; the rest are
     * left to the next page. With a fault, nothing more is sent: all messages are kept for their sender's
     * next visit. A message on its way cannot be called back.
     *
     * @param {Error} [fault] rejects the promises of messages that wait
     */
    close(fault) {
      isClosed = true;
      if (fault !== undefined) {
        for (const { reject } of promised) reject(fault);
        promised.clear();
      }
      // Let another tab send the message that this one waits with.
      wakeUp();
      goOn();
    },
  };
}
