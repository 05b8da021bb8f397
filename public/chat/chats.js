/** @import { Message, Presence, Stored } from '../client/feed.js' */
/** @import { ConversationState } from './api.js' */

/** A name that begins so is a room: an inbox that everybody follows who wants to. */
const ROOM = 'room-';

/** Presence is told for so many addresses (docs/protocol.md). */
const MOST_WATCHED = 100;

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
function counts({ type, background }) {
  return type !== 'read' && background !== true;
}

/** What is known of the conversation with one address. */
export class Chat {
  /** The messages that are known, by id. @type {Map<number, Stored>} */
  messages = new Map();
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
  /** Who is typing, and until when that is believed. @type {Map<string, number>} */
  typing = new Map();
  /** How many are unread of the messages through this id: what the service counted. */
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
   * What the service says of it.
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
    // What one notes for oneself is no news.
    this.#unreadBefore = this.peer === this.#me ? 0 : unread;
    this.#countedThrough = countedThrough;
    // An answer that comes late is of before what one before it has counted.
    this.#received = this.#theirs(Math.max(countedThrough, this.readThrough));
    // What was read while the answer was on its way is not in its count.
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
    // What was counted may have been purged since, or have expired: nobody would ever read it.
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
    // What was read with the list may come by the stream as well, and again where that begins anew further back.
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

  /** What is here of others' messages after an id. @param {number} id @returns {number[]} */
  #theirs(id) {
    return [...this.messages.values()]
      .filter((one) => counts(one) && one.sender !== this.#me && one.id > id)
      .map((one) => one.id);
  }

  /** @param {string} name */
  sawTyping(name) {
    this.typing.set(name, Date.now() + TYPING_MILLISECONDS);
  }

  /** Who is typing now. */
  get typists() {
    const now = Date.now();
    return [...this.typing].filter(([, until]) => until > now).map(([name]) => name);
  }

  /** @param {Stored} message */
  #keep(message) {
    // In the background, messages are for people to read; what other types are for is not known here.
    if (!counts(message) && message.type !== 'message') return;
    this.messages.set(message.id, message);
    if (counts(message) && message.id >= (this.lastMessage?.id ?? 0)) this.lastMessage = message;
  }
}

/** All conversations of one person. */
export class Chats {
  /** @type {Map<string, Chat>} */
  #chats = new Map();
  /** How often the log went back in time. */
  generation = 0;

  #isJoined;

  /**
   * @param {string} me
   * @param {(room: string) => boolean} isJoined
   */
  constructor(me, isJoined) {
    this.me = me;
    this.#isJoined = isJoined;
  }

  /** The chat with an address; a new one where there is none. @param {string} peer */
  get(peer) {
    let chat = this.#chats.get(peer);
    if (chat === undefined) this.#chats.set(peer, (chat = new Chat(peer, this.me)));
    return chat;
  }

  /** @param {string} peer */
  has(peer) {
    return this.#chats.has(peer);
  }

  /** @param {string} peer */
  remove(peer) {
    this.#chats.delete(peer);
  }

  /** All of them, those with the newest message first. */
  get list() {
    return [...this.#chats.values()].sort(
      (one, other) =>
        (other.lastMessage?.id ?? Infinity) - (one.lastMessage?.id ?? Infinity) ||
        one.peer.localeCompare(other.peer),
    );
  }

  /** Whose presence is worth to be told. */
  get watchable() {
    return this.list
      .filter(({ peer, isRoom: room }) => !room && peer !== this.me)
      .map(({ peer }) => peer)
      .slice(0, MOST_WATCHED);
  }

  get unread() {
    return this.list.reduce((sum, { unread }) => sum + unread, 0);
  }

  /** The chat that a message belongs to. @param {Message} message */
  of(message) {
    return this.get(this.#peerOf(message));
  }

  /** @param {Message} message */
  #peerOf({ sender, recipient }) {
    return isRoom(recipient) || sender === this.me ? recipient : sender;
  }

  /**
   * Takes a stored message.
   *
   * @param {Stored} message
   * @returns {{ chat: Chat, exact: boolean } | undefined} what changed; `exact`: whether its unread count is right
   */
  take(message) {
    // One's own inbox has what one sent to rooms from elsewhere, too.
    if (isRoom(message.recipient) && !this.#isJoined(message.recipient)) return undefined;
    const isMine = message.sender === this.me;
    if (message.type !== 'read') {
      // What does not count makes no conversation.
      const chat = counts(message) ? this.of(message) : this.#chats.get(this.#peerOf(message));
      chat?.add(message, isMine);
      return chat && { chat, exact: true };
    }
    const { messageId } = /** @type {{ messageId: number }} */ (message.content);
    const chat = this.of(message);
    if (isMine) return { chat, exact: chat.markRead(messageId) };
    chat.peerReadThrough = Math.max(chat.peerReadThrough, messageId);
    return { chat, exact: true };
  }

  /**
   * Takes what is not stored.
   *
   * @param {Presence | Message} event
   * @returns {Chat | undefined} what changed
   */
  takeEvent(event) {
    if ('online' in event) {
      const chat = this.#chats.get(event.recipient);
      if (chat !== undefined) Object.assign(chat, { online: event.online, lastSeen: event.lastSeen });
      return chat;
    }
    if (event.type !== 'typing' || event.sender === this.me) return undefined;
    if (isRoom(event.recipient) && !this.#isJoined(event.recipient)) return undefined;
    const chat = this.of(event);
    chat.sawTyping(event.sender);
    return chat;
  }

  /**
   * The log went back in time: the conversations begin anew, to be filled again. They are others, so that what was
   * asked of the log before fills none of them.
   */
  forget() {
    this.generation++;
    for (const [peer, { online, lastSeen }] of this.#chats)
      this.#chats.set(peer, Object.assign(new Chat(peer, this.me), { online, lastSeen }));
  }
}
