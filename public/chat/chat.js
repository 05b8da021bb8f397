/** @import { Message, Stored } from '../client/feed.js' */
/** @import { ConversationState } from './api.js' */

import { Timeline } from './timeline.js';

/** A name that begins so is a room: an inbox that everybody follows who wants to. */
const ROOM = 'room-';

/** A person who says nothing more is taken to have stopped typing. */
const TYPING_MILLISECONDS = 6000;

/** @param {string} address */
export function isRoom(address) {
  return address.startsWith(ROOM);
}

/**
 * Whether a message counts: as unread, and as the last one of its conversation (docs/protocol.md).
 *
 * @param {Message} message one that is stored
 */
export function counts({ type, background }) {
  return type !== 'read' && background !== true;
}

/** The conversation with one address, as far as it is known. */
export class Chat {
  messages = new Timeline();
  /** @type {Stored | undefined} */
  lastMessage;
  /** Through which id this side has read, and the other. */
  readThrough = 0;
  peerReadThrough = 0;
  /** Whether there is older history that was not fetched. */
  hasMore = true;
  /** The oldest id of the history that was fetched, whatever its type. @type {number | undefined} */
  oldestFetched;
  /** Whether the newest history was fetched: what comes after it comes by the stream. */
  isLoaded = false;
  online = false;
  /** @type {string | null} */
  lastSeen = null;
  /** The people who are typing, and until when that is believed. @type {Map<string, number>} */
  typing = new Map();
  /** The number of unread messages through this id, as the service counted. */
  #unreadBefore = 0;
  #countedThrough = 0;
  /** The messages of others that came since. @type {number[]} */
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
   * Takes the state that the service tells.
   *
   * @param {ConversationState} state
   * @returns {boolean} whether the count of the unread is exact; else it has to be asked for
   */
  list({ lastMessage, unread, readThrough, peerReadThrough }) {
    const before = this.readThrough;
    const countedThrough = lastMessage?.id ?? 0;
    if (lastMessage !== null && (this.lastMessage?.id ?? 0) <= lastMessage.id) this.lastMessage = lastMessage;
    this.readThrough = readThrough ?? 0;
    this.peerReadThrough = Math.max(this.peerReadThrough, peerReadThrough ?? 0);
    // A note to oneself is no news.
    this.#unreadBefore = this.peer === this.#me ? 0 : unread;
    this.#countedThrough = countedThrough;
    // An answer that comes late is of before what one before it has counted.
    this.#received = this.#theirs(Math.max(countedThrough, this.readThrough));
    // The count does not have what was read while the answer was on its way.
    return this.markRead(before);
  }

  /**
   * A page of history.
   *
   * @param {readonly Stored[]} messages
   * @param {boolean} more
   * @param {number} [before] where it goes on
   */
  addHistory(messages, more, before = messages[0]?.id) {
    for (const message of messages) this.#keep(message);
    const isWhole = !more || (before ?? 0) <= this.readThrough;
    // Some that were counted may have been purged since, or have expired: nobody would ever read them.
    if (!this.isLoaded && isWhole && this.#unreadBefore > 0) this.#countAfter(this.readThrough);
    this.oldestFetched = before ?? this.oldestFetched;
    this.hasMore = more;
    this.isLoaded = true;
  }

  /**
   * A message for people that came by the stream.
   *
   * @param {Stored} message
   * @param {boolean} isMine
   */
  add(message, isMine) {
    this.#keep(message);
    this.typing.delete(message.sender);
    // Messages that came with the list may come on the stream too, and again if the stream restarts further back.
    const isCounted = message.id <= this.#countedThrough || this.#received.includes(message.id);
    const isUnread = counts(message) && !isMine && message.id > this.readThrough;
    if (isUnread && !isCounted) this.#received.push(message.id);
  }

  /**
   * This side has read, on whichever of its devices.
   *
   * @param {number} id
   * @returns {boolean} whether the count of the unread is exact; else it has to be asked for
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

  /** Counts what is here: all that came after an id is, or is to come by the stream. @param {number} id */
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
   * Takes away what has expired.
   *
   * @param {number} now in milliseconds since the Unix epoch
   * @returns {boolean} whether how it stands has to be asked for: something unread is gone, or the last message
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

  /** When something of it expires next, in milliseconds since the Unix epoch; `Infinity` if nothing does. */
  get nextExpiry() {
    return Math.min(this.messages.nextExpiry, Date.parse(this.lastMessage?.expiresAt ?? '') || Infinity);
  }

  /** When somebody is taken to have stopped typing next; `Infinity` if nobody types. */
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
    // In the background, messages are for people to read; what other types are for is not known here.
    if (!counts(message) && message.type !== 'message') return;
    this.messages.add(message);
    if (counts(message) && message.id >= (this.lastMessage?.id ?? 0)) this.lastMessage = message;
  }
}
