import { storage } from '../client/storage.js';

/** @import { Chat } from './chats.js' */
/** @import { Stored } from '../client/feed.js' */

/** The rooms that a person has joined, and how far they have read in them: kept in this browser. */
export class Rooms {
  #name;
  #me;

  /** @param {string} me */
  constructor(me) {
    this.#me = me;
    this.#name = `tidings:chat:rooms:${me}`;
  }

  /** Tells when other rooms were joined or left in another window. @param {() => void} onChange */
  watch(onChange) {
    let before = this.joined.join();
    addEventListener('storage', ({ key }) => {
      if (key !== this.#name && key !== null) return;
      const now = this.joined.join();
      if (now !== before) onChange();
      before = now;
    });
  }

  /** @returns {string[]} */
  get joined() {
    return Object.keys(this.#kept);
  }

  /** @param {string} room */
  has(room) {
    return Object.hasOwn(this.#kept, room);
  }

  /** @param {string} room */
  join(room) {
    if (!this.has(room)) this.#keep({ ...this.#kept, [room]: 0 });
  }

  /** @param {string} room */
  leave(room) {
    const rooms = this.#kept;
    this.#keep(Object.fromEntries(Object.entries(rooms).filter(([one]) => one !== room)));
  }

  /** How far one has read, as far as this browser knows. @param {Chat} chat */
  readThrough({ peer, readThrough }) {
    return Math.max(this.#kept[peer] ?? 0, readThrough);
  }

  /** Through which id one has read in any of them. */
  get furthest() {
    return Math.max(0, ...Object.values(this.#kept));
  }

  /** Keeps how far one has read. @param {Chat} chat */
  keepRead({ peer, readThrough }) {
    const rooms = this.#kept;
    if ((rooms[peer] ?? Infinity) < readThrough) this.#keep({ ...rooms, [peer]: readThrough });
  }

  /** The log went back in time: what was read may come again, with other ids. */
  forgetRead() {
    this.#keep(Object.fromEntries(this.joined.map((room) => [room, 0])));
  }

  /**
   * Counts what is unread in a room.
   *
   * @param {Chat} chat
   * @param {readonly Stored[]} messages its newest ones, from before what was read
   */
  countUnread(chat, messages) {
    const readThrough = this.readThrough(chat);
    const [lastMessage] = messages.filter(({ type }) => type === 'message').slice(-1);
    if (lastMessage === undefined) return;
    const unread = messages.filter(
      ({ id, type, sender }) => type === 'message' && sender !== this.#me && id > readThrough,
    ).length;
    chat.list({ peer: chat.peer, lastMessage, unread, readThrough, peerReadThrough: null });
  }

  /** @returns {Record<string, number>} */
  get #kept() {
    /** @type {unknown} */
    const kept = JSON.parse(storage.get(this.#name) ?? '{}');
    return /** @type {Record<string, number>} */ (kept);
  }

  /** @param {Record<string, number>} rooms */
  #keep(rooms) {
    storage.set(this.#name, JSON.stringify(rooms));
  }
}
