import { aborted, Backoff, pause } from './backoff.js';
import { Problem, Unreachable } from './service.js';
import { storage } from './storage.js';

/** @import { Stored } from './feed.js' */
/** @import { Service } from './service.js' */

/**
 * What is to be sent.
 *
 * @typedef {object} Draft
 * @property {string} recipient
 * @property {unknown} content any JSON value
 * @property {string} [sender]
 * @property {string} [type]
 * @property {number} [ttl]
 * @property {boolean} [background] for streams and history alone: not unread, no conversation, no notification
 * @property {string} [idempotencyKey] made where it is not given
 */

/** @typedef {Draft & { idempotencyKey: string }} Entry what waits */

/**
 * @typedef {object} OutboxEvents
 * @property {() => void} onChange what waits is another
 * @property {(entry: Entry, problem: Problem) => void} onRefused it will never be stored
 * @property {() => Promise<unknown> | undefined} onExpired gets a new session
 */

/**
 * What became of an entry: stored, refused, or another has taken its place.
 *
 * @typedef {{ name: string, message?: Stored, problem?: { status: number, detail: string }, instead?: string }} Outcome
 */

/** @typedef {{ resolve: (message: Stored) => void, reject: (error: unknown) => void }} Waiter */

/** So many outcomes are known: one that is heard of late is not later than that. */
const MOST_KNOWN = 100;

/** Tells names of the same moment apart. */
const KEY_LENGTH = 8;

/**
 * Messages that wait until they are stored. Each is in the browser's storage before `add` returns, under a key that a
 * repeat does not store twice, so it is sent exactly once over reloads, crashes and lost answers. One tab sends at a
 * time, the oldest first.
 */
export class Outbox {
  #service;
  #prefix;
  #events;
  /** Who waits for which entry of this page. @type {Map<string, Waiter[]>} */
  #promised = new Map();
  /** What became of entries, the newest last: what took the place of one may be heard of first. @type {Map<string, Outcome>} */
  #became = new Map();
  #closed = false;
  #sending = false;
  #backoff = new Backoff();
  #wake = new AbortController();
  #channel;

  /**
   * @param {Service} service
   * @param {string} sender whose messages these are
   * @param {OutboxEvents} events
   */
  constructor(service, sender, events) {
    this.#service = service;
    // In quotes: a sender's name may begin with another's and a colon.
    this.#prefix = `tidings:outbox:${service.name}:${JSON.stringify(sender)}:`;
    this.#events = events;
    // The tab that sends is not always the one that was asked to.
    this.#channel = new BroadcastChannel(this.#prefix);
    this.#channel.onmessage = (/** @type {MessageEvent<Outcome>} */ { data }) => this.#settle(data);
    globalThis.addEventListener('online', this.#onOnline);
    globalThis.addEventListener('storage', this.#onStorage);
  }

  /** What waits, the oldest first. @returns {Entry[]} */
  get entries() {
    return storage.names(this.#prefix).flatMap((name) => read(name) ?? []);
  }

  /** How many wait. */
  get size() {
    return storage.names(this.#prefix).length;
  }

  /** Tells no more. What this page has sent is still sent, and answered; the rest is left to who comes next. */
  close() {
    this.#closed = true;
    // Another may send what it waits with.
    this.#wake.abort();
    this.#wake = new AbortController();
    this.#letGo();
  }

  /**
   * Keeps a message until it is stored.
   *
   * @param {Draft} draft
   * @returns {Promise<Stored>} the stored message. Rejects with a `Problem` that a retry cannot mend, and where the
   *   browser has no room for it; never for want of a connection
   */
  add(draft) {
    return this.replace(draft, () => false);
  }

  /**
   * Keeps a message in the place of others that wait and were not begun: they are answered as it is.
   *
   * @param {Draft} draft
   * @param {(entry: Entry) => boolean} which
   * @returns {Promise<Stored>} as `add` does
   */
  replace(draft, which) {
    return new Promise((resolve, reject) => {
      const text = JSON.stringify({ ...draft, idempotencyKey: draft.idempotencyKey ?? newKey() });
      const [, ...rest] = storage.names(this.#prefix);
      const name = this.#nextName();
      try {
        storage.set(name, text);
      } catch (error) {
        throw new Error('the browser has no room to keep the message', { cause: error });
      }
      this.#promised.set(name, [{ resolve, reject }]);
      for (const overtaken of rest) {
        const entry = read(overtaken);
        if (entry !== undefined && which(entry)) this.#finish({ name: overtaken, instead: name });
      }
      this.#events.onChange();
      this.flush();
    });
  }

  /**
   * Takes away what waits: it will not be sent. One that is on its way cannot be called back.
   *
   * @param {(entry: Entry) => boolean} which
   * @param {string} detail why, in a sentence for a person
   */
  drop(which, detail) {
    for (const name of storage.names(this.#prefix)) {
      const entry = read(name);
      if (entry !== undefined && which(entry)) this.#finish({ name, problem: { status: 409, detail } });
    }
  }

  /** Sends what waits, if it is not being done already. */
  flush() {
    if (this.#sending) return;
    this.#sending = true;
    const send = async () => {
      for (let name = this.#next(); name !== undefined; name = this.#next()) await this.#send(name);
    };
    // Where locks are there but not allowed, two tabs may send the same: its key keeps it from being stored twice.
    const sent = 'locks' in navigator ? navigator.locks.request(this.#prefix, send).catch(send) : send();
    void sent.finally(() => {
      this.#sending = false;
      if (this.#next() !== undefined) this.flush();
      else this.#letGo();
    });
  }

  /** Tries again at once. */
  retry() {
    this.#backoff.reset();
    this.#wake.abort();
    this.#wake = new AbortController();
    this.flush();
  }

  #onOnline = () => this.retry();

  /** Another tab has put something in, or sent it. @param {StorageEvent} event */
  #onStorage = ({ key, newValue }) => {
    if (key !== null && !key.startsWith(this.#prefix)) return;
    if (!this.#closed) this.#events.onChange();
    // It waits for its turn: the other tab may be gone before it has sent it.
    if (!this.#closed && newValue !== null) this.flush();
  };

  #letGo() {
    if (!this.#closed || this.#sending || this.#promised.size > 0) return;
    globalThis.removeEventListener('online', this.#onOnline);
    globalThis.removeEventListener('storage', this.#onStorage);
    this.#channel.close();
  }

  /** The name of the entry that is to be sent next. */
  #next() {
    if (this.#closed && this.#promised.size === 0) return undefined;
    return storage.names(this.#prefix)[0];
  }

  /** A name behind all others: they are in order of time, also where the clock was set back. */
  #nextName() {
    const newest = storage.names(this.#prefix).at(-1)?.slice(this.#prefix.length, -KEY_LENGTH);
    const time = Math.max(Date.now(), Number(newest ?? 0) + 1);
    return `${this.#prefix}${String(time).padStart(16, '0')}${newKey().slice(0, KEY_LENGTH)}`;
  }

  /** @param {string} name */
  async #send(name) {
    const entry = read(name);
    if (entry === undefined) {
      storage.remove(name);
      return;
    }
    // Taken first: what wakes it while it sends must not be missed.
    const wake = this.#wake.signal;
    try {
      const message = /** @type {Partial<Stored> | undefined} */ (
        await this.#service.post('messages', entry)
      );
      if (message?.id === undefined) throw new Unreachable(new Error('the answer is no message'));
      this.#backoff.reset();
      this.#finish({ name, message: /** @type {Stored} */ (message) });
    } catch (error) {
      if (error instanceof Problem && !error.passes) {
        const { status, message: detail } = error;
        this.#finish({ name, problem: { status, detail } });
        this.#events.onRefused(entry, error);
      } else {
        await this.#waitAfter(error, wake);
      }
    }
  }

  /**
   * @param {unknown} error
   * @param {AbortSignal} wake ends the wait
   */
  async #waitAfter(error, wake) {
    const problem = error instanceof Problem ? error : undefined;
    // A person may be asked; another tab may have got a session in the meantime.
    if (problem?.status === 401)
      await Promise.race([this.#events.onExpired()?.catch(() => undefined), aborted(wake)]);
    await pause(Math.max(this.#backoff.next(), (problem?.retryAfter ?? 0) * 1000), wake);
  }

  /** @param {Outcome} outcome */
  #finish(outcome) {
    // Told first: a tab that crashes in between leaves it to be sent again, and not somebody waiting for ever.
    this.#channel.postMessage(outcome);
    storage.remove(outcome.name);
    this.#settle(outcome);
  }

  /** @param {Outcome} outcome */
  #settle(outcome) {
    const { name, message, problem, instead } = outcome;
    const waiters = this.#promised.get(name) ?? [];
    this.#promised.delete(name);
    this.#became.delete(name);
    this.#became.set(name, outcome);
    for (const oldest of this.#became.keys()) {
      if (this.#became.size <= MOST_KNOWN) break;
      this.#became.delete(oldest);
    }
    if (instead !== undefined) {
      if (waiters.length > 0)
        this.#promised.set(instead, [...(this.#promised.get(instead) ?? []), ...waiters]);
      // Tabs hear of each other's at different times: that one may be over already.
      const later = this.#became.get(instead);
      if (later !== undefined) this.#settle(later);
    } else {
      for (const { resolve, reject } of waiters) {
        if (message !== undefined) resolve(message);
        else if (problem !== undefined) reject(new Problem(problem.status, problem.detail, undefined));
      }
    }
    if (this.#closed) this.#letGo();
    else this.#events.onChange();
  }
}

/**
 * @param {string} name
 * @returns {Entry | undefined} `undefined` where it is gone, or was written by something else
 */
function read(name) {
  try {
    /** @type {unknown} */
    const value = JSON.parse(storage.get(name) ?? '');
    return /** @type {Entry} */ (value);
  } catch {
    return undefined;
  }
}

/** A new idempotency key. Not `crypto.randomUUID`, which pages that are not served securely do not have. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}
