import { Chat, counts, isRoom } from './chat.js';

/** @import { Message, Presence, Stored } from '../client/feed.js' */
/** @import { Copied } from './tab-copy.js' */

/** The most addresses whose presence the service tells (docs/protocol.md). */
const MAX_WATCHED = 100;

/** All conversations of one person. */
export class Chats {
  /** @type {Map<string, Chat>} */
  #chats = new Map();
  /** All chats, in the order of the last request: sorting them again is cheap. @type {Chat[]} */
  #list = [];
  /** The number of times that the log was restored from an older backup. */
  generation = 0;
  /** Whether the chats come from a copy: the service has not said anything yet. */
  isCopy = false;

  #isJoined;

  /**
   * @param {string} me
   * @param {(room: string) => boolean} isJoined
   */
  constructor(me, isJoined) {
    this.me = me;
    this.#isJoined = isJoined;
  }

  /** Returns the chat with an address; a new one if there is none. @param {string} peer */
  get(peer) {
    let chat = this.#chats.get(peer);
    if (chat === undefined) this.#put((chat = new Chat(peer, this.me)));
    return chat;
  }

  /** @param {string} peer */
  has(peer) {
    return this.#chats.has(peer);
  }

  /** @param {string} peer */
  remove(peer) {
    this.#chats.delete(peer);
    this.#list = [...this.#chats.values()];
  }

  /**
   * Removes a conversation whose messages have all expired.
   *
   * @param {Chat} chat
   * @param {string | undefined} open whose conversation is open, and stays
   * @returns {boolean} whether it is gone
   */
  drop({ peer, isRoom: isKept, lastMessage }, open) {
    if (lastMessage !== undefined || isKept || peer === open) return false;
    this.remove(peer);
    return true;
  }

  /** @param {Chat} chat */
  #put(chat) {
    this.#chats.set(chat.peer, chat);
    this.#list = [...this.#chats.values()];
  }

  /** All chats, the ones with the newest messages first. @returns {readonly Chat[]} */
  get list() {
    return this.#list.sort(
      (one, other) =>
        compare(other.lastMessage?.id, one.lastMessage?.id) || one.peer.localeCompare(other.peer),
    );
  }

  /**
   * Removes what has expired.
   *
   * @param {number} now in milliseconds since the Unix epoch
   * @returns {Chat[]} the chats whose state must be asked for
   */
  expire(now) {
    return this.#list.filter((chat) => chat.nextExpiry <= now && chat.expire(now));
  }

  /**
   * When something changes by itself next, in milliseconds since the Unix epoch; `Infinity` if nothing does.
   */
  get nextChange() {
    let next = Infinity;
    for (const { nextExpiry, nextQuiet } of this.#list) next = Math.min(next, nextExpiry, nextQuiet);
    return next;
  }

  /** The people whose presence matters, as many as the service tells. */
  get watchable() {
    return this.list
      .filter(({ peer, isRoom: room }) => !room && peer !== this.me)
      .map(({ peer }) => peer)
      .slice(0, MAX_WATCHED);
  }

  get unread() {
    return this.#list.reduce((sum, { unread }) => sum + unread, 0);
  }

  /** Returns the chat that a message belongs to. @param {Message} message */
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
   * @returns {{ chat: Chat, exact: boolean } | undefined} the changed chat, and whether its count is `exact`
   */
  take(message) {
    // The person's own inbox also has what they sent to rooms from elsewhere.
    if (isRoom(message.recipient) && !this.#isJoined(message.recipient)) return undefined;
    const isMine = message.sender === this.me;
    if (message.type !== 'read') {
      // A message that does not count begins no conversation.
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
   * Takes an event that is not stored.
   *
   * @param {Presence | Message} event
   * @returns {Chat | undefined} the changed chat
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
   * Shows conversations of a tab's copy, until the service gives their state.
   *
   * @param {readonly Copied[]} copied
   */
  showCopy(copied) {
    this.isCopy = true;
    for (const { peer, messages, more = true, ...state } of copied) {
      if (isRoom(peer) && !this.#isJoined(peer)) continue;
      const chat = this.get(peer);
      chat.list(state);
      if (messages !== undefined) chat.addHistory(messages, more);
    }
  }

  /** Forgets a copy. Does nothing if there is none. */
  dropCopy() {
    if (!this.isCopy) return;
    this.isCopy = false;
    this.#chats.clear();
    this.#list = [];
  }

  /**
   * Begins again with empty conversations, because the log was restored from an older backup. They are new
   * objects, so that late answers about the earlier log fill none of them.
   */
  forget() {
    this.generation++;
    for (const { peer, online, lastSeen } of this.#chats.values())
      this.#put(Object.assign(new Chat(peer, this.me), { online, lastSeen }));
  }
}

/** Compares ids; a missing id is the greatest. @param {number} [one] @param {number} [other] */
function compare(one = Infinity, other = Infinity) {
  return one === other ? 0 : one - other;
}
