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
 * @property {() => void} onChange other messages wait
 * @property {(entry: Entry, problem: Problem) => void} onRefused it will never be stored
 * @property {() => Promise<unknown>} onExpired gets a new session
 * @property {(fault: Fault) => Promise<boolean>} onFault returns whether that has stopped the outbox
 */

/**
 * The outcome of an entry: it is stored, it is refused, or another entry takes its place.
 *
 * @typedef {{ name: string, message: Stored }
 *   | { name: string, status: number, detail: string }
 *   | { name: string, instead: { name: string, text: string } }} Outcome
 */

/**
 * A message that this page was asked to send, or the one that has taken its place. `isGone`: it was not in the storage at the last look.
 *
 * @typedef {object} Promised
 * @property {string} name
 * @property {string} text
 * @property {boolean} isGone
 * @property {(message: Stored) => void} resolve
 * @property {(error: Error) => void} reject
 */

/**
 * How often it is checked that the promised messages are still in the storage: code of the page may clear it. One that is gone
 * at two looks is put back; another tab may have sent it, and has said so by then.
 */
const LOOK_MILLISECONDS = 1000;

/** A tab that sends is taken for dead after this silence, if it does not answer either. */
const SILENCE_MILLISECONDS = 15_000;

/**
 * Returns messages that wait until they are stored, and sends them. Each is in the browser's storage before `add` returns, under a key
 * that a repeat does not store twice, so it is sent exactly once over reloads, crashes and lost answers. What this page was asked to send
 * it sends even if the storage is full or is cleared.
 *
 * Of all tabs the one that has a lock sends, the oldest first, as long as anything waits. Should two do so for a while, as one was
 * taken for dead, the keys of the messages keep them from being stored twice.
 *
 * @param {Service} service
 * @param {string} sender whose messages these are
 * @param {OutboxEvents} events
 */
export function openOutbox(service, sender, { onChange, onRefused, onExpired, onFault }) {
  const prefix = findEntries(service.name, sender);
  /** @type {Set<Promised>} */
  const promised = new Set();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let look;
  let tries = 0;
  /** Ends a wait for another try. */
  let wake = new AbortController();
  let isSending = false;
  let isClosed = false;
  /** Aborted when nothing is left to do after `close`. */
  const ended = new AbortController();
  // The tab that sends is not always the one that was asked to.
  const lock = openSharedLock(prefix, SILENCE_MILLISECONDS, { onGain: () => void sendAll(), onHear: settle });
  listen('storage', onStorage, ended.signal);
  listen('online', retry, ended.signal);
  flush();

  /** The names of the messages that wait, the oldest first. */
  function names() {
    return storage.names(prefix);
  }

  /** The name of the message that is to be sent next. */
  function next() {
    return isClosed && promised.size === 0 ? undefined : names()[0];
  }

  /** Sends what waits, if that is not being done already. */
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

  /** Another tab has put something in, or sent it, or cleared the storage. @param {StorageEvent} event */
  function onStorage({ key, newValue }) {
    if (isClosed || key?.startsWith(prefix) === false) return;
    onChange();
    // It waits for its turn: the other tab may be gone before it has sent it.
    if (newValue !== null) flush();
  }

  /** Other messages wait, or nothing is being sent any more. */
  function goOn() {
    if (promised.size === 0) clearInterval(look);
    if (!isClosed) onChange();
    else if (!isSending && promised.size === 0) {
      ended.abort();
      lock.close();
    }
  }

  async function sendAll() {
    // It had the lock before, and is still sending.
    if (isSending) return;
    isSending = true;
    for (let name = next(); lock.isHeld && name !== undefined; name = next()) {
      // Taken first: what wakes it while it sends must not be missed.
      const { signal } = wake;
      const fault = await send(name);
      if (!fault) tries = 0;
      else await waitAfter(fault, signal);
    }
    isSending = false;
    // If another has taken the lock, this one waits for it.
    if (lock.isHeld) lock.release();
    goOn();
  }

  /**
   * @param {string} name
   * @returns {Promise<Fault | undefined>} why it must be sent again later; `undefined` if not
   */
  async function send(name) {
    const [entry] = readEntries([name]);
    if (!entry) {
      storage.remove(name);
      return undefined;
    }
    try {
      const message = /** @type {Stored | undefined} */ (await service.post('messages', entry));
      // Something else has answered.
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
    // A person may be asked; another tab may have got a session in the meantime.
    if (status === 401) await Promise.race([onExpired().catch(() => undefined), aborted(signal)]);
    await pause(Math.max(spread(backoff(tries++)), retryAfter * 1000), signal);
  }

  /**
   * Has this page send a message, whatever becomes of its storage.
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

  /** Puts back promised messages that are gone from the storage, though nothing is known to have become of them. */
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
    // Told first: if this tab crashes in between, the entry is sent again, and nobody waits forever.
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

    /** How many wait. */
    get size() {
      return names().length;
    },

    /**
     * Keeps a message until it is stored.
     *
     * @param {Draft} draft
     * @param {(entry: Entry) => boolean} [overtakes] which others it takes the place of, of those that wait and were not begun: they
     *   are answered as it is
     * @returns {Promise<Stored>} the stored message. Rejects with a `Problem` that a retry cannot mend; never because there
     *   is no connection, or no room in the browser's storage
     * @throws {TypeError} if it is not JSON
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
     * Removes messages that wait: they will not be sent. One that is on its way cannot be called back.
     *
     * @param {(entry: Entry) => boolean} which
     * @param {string} detail why, in a sentence for a person
     */
    drop(which, detail) {
      for (const name of select(names(), which)) finish({ name, status: 409, detail });
    },

    retry,

    /**
     * Tells no more. What this page was asked to send is still sent, and answered; the rest is left to the next page. With a fault,
     * nothing more is sent: all is kept for its sender's next visit. A message that is on its way cannot be called back.
     *
     * @param {Error} [fault] what the promises of messages that wait are rejected with
     */
    close(fault) {
      isClosed = true;
      if (fault !== undefined) {
        for (const { reject } of promised) reject(fault);
        promised.clear();
      }
      // Another may send what it waits with.
      wakeUp();
      goOn();
    },
  };
}
