/** @import { Message, Stored } from '../client/feed.js' */
/** @import { ConversationState } from './api.js' */

import { Timeline } from './timeline.js';

/** The beginning of the name of a room. A room is an inbox that anybody may follow. */
const ROOM = 'room-';

/** How long a person counts as typing. */
const TYPING_MILLISECONDS = 6000;

/** @param {string} address */
export function isRoom(address) {
  return address.startsWith(ROOM);
}

/**
 * Returns whether a message counts: as unread, and as the last message of its conversation
 * (docs/protocol.md).
 *
 * @param {Message} message a stored message
 */
export function counts({ type, background }) {
  return type !== 'read' && background !== true;
}

/** The conversation with one address, as far as it is known. */
export class Chat {
  messages = new Timeline();
  /** @type {Stored | undefined} */
  lastMessage;
  /** The ids up to which this side has read, and the other side. */
  readThrough = 0;
  peerReadThrough = 0;
  /** Whether there is older history that was not fetched. */
  hasMore = true;
  /** The oldest id of the history that was fetched, whatever its type. @type {number | undefined} */
  oldestFetched;
  /** Whether the newest history was fetched: later messages come through the stream. */
  isLoaded = false;
  online = false;
  /** @type {string | null} */
  lastSeen = null;
  /** The people who are typing, and until when they count as typing. @type {Map<string, number>} */
  typing = new Map();
  /** The number of unread messages up to an id, as the service counted them, and that id. */
  #unreadBefore = 0;
  #countedThrough = 0;
  /** The ids of others' messages that came after that. @type {number[]} */
  #received = [];

  #me;

  /**
   * @param {string} peer
   * @param {string} me
   */
  constructor(peer, me) {
    this.#me = me;
    this.peer = peer;
    this.isRoom = isRoom(peer);
  }

  get unread() {
    return this.#unreadBefore + this.#received.length;
  }

  /**
   * Takes the state that the service gives.
   *
   * @param {ConversationState} state
   * @returns {boolean} whether the number of unread messages is exact; if not, ask for it
   */
  list({ lastMessage, unread, readThrough, peerReadThrough }) {
    const before = this.readThrough;
    const countedThrough = lastMessage?.id ?? 0;
    if (lastMessage !== null && (this.lastMessage?.id ?? 0) <= lastMessage.id) this.lastMessage = lastMessage;
    this.readThrough = readThrough ?? 0;
    this.peerReadThrough = Math.max(this.peerReadThrough, peerReadThrough ?? 0);
    // A note to oneself is never unread.
    this.#unreadBefore = this.peer === this.#me ? 0 : unread;
    this.#countedThrough = countedThrough;
    // A late answer is older than what an earlier one has counted.
    this.#received = this.#theirs(Math.max(countedThrough, this.readThrough));
    // The count does not know what was read while the answer was on its way.
    return this.markRead(before);
  }

  /**
   * Adds a page of history.
   *
   * @param {readonly Stored[]} messages
   * @param {boolean} more
   * @param {number} [before] the id to continue at
   */
  addHistory(messages, more, before = messages[0]?.id) {
    for (const message of messages) this.#keep(message);
    const isWhole = !more || (before ?? 0) <= this.readThrough;
    // Some counted messages may have been purged since, or have expired: nobody would ever read them.
    if (!this.isLoaded && isWhole && this.#unreadBefore > 0) this.#countAfter(this.readThrough);
    this.oldestFetched = before ?? this.oldestFetched;
    this.hasMore = more;
    this.isLoaded = true;
  }

  /**
   * Adds a message for people that came through the stream.
   *
   * @param {Stored} message
   * @param {boolean} isMine
   */
  add(message, isMine) {
    this.#keep(message);
    this.typing.delete(message.sender);
    // Messages of the list may come through the stream too, and again if it restarts further back.
    const isCounted = message.id <= this.#countedThrough || this.#received.includes(message.id);
    const isUnread = counts(message) && !isMine && message.id > this.readThrough;
    if (isUnread && !isCounted) this.#received.push(message.id);
  }

  /**
   * Notes that this side has read up to an id, on any of its devices.
   *
   * @param {number} id
   * @returns {boolean} whether the number of unread messages is exact; if not, ask for it
   */
  markRead(id) {
    if (id <= this.readThrough) return true;
    this.readThrough = id;
    this.#received = this.#received.filter((one) => one > id);
    if (this.#unreadBefore === 0) return true;
    if (id < this.#countedThrough && (!this.isLoaded || id < (this.oldestFetched ?? Infinity))) return false;
    this.#countAfter(id);
    return true;
  }

  /**
   * Counts the messages that are here: all messages after an id are, or will come through the stream.
   *
   * @param {number} id
   */
  #countAfter(id) {
    this.#unreadBefore = 0;
    this.#countedThrough = id;
    this.#received = this.#theirs(id);
  }

  /** Returns the ids of others' messages after an id. @param {number} id @returns {number[]} */
  #theirs(id) {
    return this.messages
      .slice(this.messages.indexOf(id + 1), this.messages.length)
      .filter((one) => counts(one) && one.sender !== this.#me)
      .map((one) => one.id);
  }

  /**
   * Removes what has expired.
   *
   * @param {number} now in milliseconds since the Unix epoch
   * @returns {boolean} whether to ask for the current state: an unread message is gone, or the last one
   */
  expire(now) {
    const expired = this.messages.expire(now);
    const ids = new Set(expired.map(({ id }) => id));
    const last = this.lastMessage;
    const isLastGone = last !== undefined && Date.parse(last.expiresAt ?? '') <= now;
    if (isLastGone) this.lastMessage = [...this.messages].findLast(counts);
    const unread = this.unread;
    this.#received = this.#received.filter((id) => !ids.has(id));
    const isUncounted = this.#unreadBefore > 0 && expired.some(({ id }) => id > this.readThrough);
    return isUncounted || (isLastGone && this.lastMessage === undefined) || unread !== this.unread;
  }

  /** When something in it expires next, in milliseconds since the Unix epoch; `Infinity` if nothing does. */
  get nextExpiry() {
    return Math.min(this.messages.nextExpiry, Date.parse(this.lastMessage?.expiresAt ?? '') || Infinity);
  }

  /** When the next person stops counting as typing; `Infinity` if nobody types. */
  get nextQuiet() {
    if (this.typing.size === 0) return Infinity;
    return Math.min(Infinity, ...[...this.typing.values()].filter((until) => until > Date.now()));
  }

  /** @param {string} name */
  sawTyping(name) {
    this.typing.set(name, Date.now() + TYPING_MILLISECONDS);
  }

  /** The people who are typing now. */
  get typists() {
    const now = Date.now();
    return [...this.typing].filter(([, until]) => until > now).map(([name]) => name);
  }

  /** @param {Stored} message */
  #keep(message) {
    // Background messages of type `message` are for people to read; other types have an unknown purpose.
    if (!counts(message) && message.type !== 'message') return;
    this.messages.add(message);
    if (counts(message) && message.id >= (this.lastMessage?.id ?? 0)) this.lastMessage = message;
  }
}
