/** @import { Stored } from '../client/feed.js' */

/** The known messages of one conversation, in the order of their ids. */
export class Timeline {
  /** @type {Stored[]} */
  #messages = [];
  /** @type {Set<string>} */
  #keys = new Set();
  #nextExpiry = Infinity;

  /** Iterates over all messages, the oldest first. */
  [Symbol.iterator]() {
    return this.#messages[Symbol.iterator]();
  }

  get length() {
    return this.#messages.length;
  }

  /** When the next message expires, in milliseconds since the Unix epoch; `Infinity` if none does. */
  get nextExpiry() {
    return this.#nextExpiry;
  }

  /** @param {number} index counts from the end if it is negative @returns {Stored | undefined} */
  at(index) {
    return this.#messages.at(index);
  }

  /** @param {number} from @param {number} to the index after the last one */
  slice(from, to) {
    return this.#messages.slice(from, to);
  }

  /** Returns whether there is a message with this idempotency key. @param {string} key */
  hasKey(key) {
    return this.#keys.has(key);
  }

  /** Returns the index of the first message whose id is not smaller than this. @param {number} id */
  indexOf(id) {
    let [from, to] = [0, this.#messages.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#messages[middle]?.id ?? Infinity) < id) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /**
   * Returns the index of the first message after an id that somebody else wrote; the length if there is none.
   *
   * @param {number} id
   * @param {string} me
   */
  firstOfOthers(id, me) {
    let index = this.indexOf(id + 1);
    while (this.#messages[index]?.sender === me) index++;
    return index;
  }

  /** Adds a message in its place, or replaces the message with its id. @param {Stored} message */
  add(message) {
    const index = this.indexOf(message.id);
    this.#messages.splice(index, this.#messages[index]?.id === message.id ? 1 : 0, message);
    if (message.idempotencyKey !== undefined) this.#keys.add(message.idempotencyKey);
    this.#nextExpiry = Math.min(this.#nextExpiry, expiryOf(message));
  }

  /**
   * Removes the messages that have expired.
   *
   * @param {number} now
   * @returns {Stored[]} the removed messages
   */
  expire(now) {
    if (now < this.#nextExpiry) return [];
    const expired = this.#messages.filter((message) => expiryOf(message) <= now);
    this.#messages = this.#messages.filter((message) => expiryOf(message) > now);
    this.#nextExpiry = Math.min(Infinity, ...this.#messages.map(expiryOf));
    return expired;
  }
}

/**
 * Returns when a message expires, in milliseconds since the Unix epoch; `Infinity` if it does not.
 *
 * @param {Stored} message
 */
export function expiryOf({ expiresAt }) {
  return expiresAt === undefined ? Infinity : Date.parse(expiresAt);
}
