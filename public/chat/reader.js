import { Problem } from '../client.js';
import { isRoom } from './chat.js';
import { untilAnswered } from './until-answered.js';

/** @import { Api } from './api.js' */
/** @import { Chat } from './chat.js' */
/** @import { Chats } from './chats.js' */
/** @import { Rooms } from './rooms.js' */

/** Reads what there is: what comes after it comes by the stream. */
export class Reader {
  #api;
  #chats;
  #rooms;
  #events;
  /** The last question about a chat. @type {WeakMap<Chat, object>} */
  #asked = new WeakMap();

  /**
   * @param {Api} api
   * @param {Chats} chats
   * @param {Rooms} rooms
   * @param {{ onChange: () => void, onUnreadable: (room: string) => void }} events
   */
  constructor(api, chats, rooms, events) {
    this.#api = api;
    this.#chats = chats;
    this.#rooms = rooms;
    this.#events = events;
  }

  /**
   * Reads the list of conversations, and the rooms.
   *
   * @returns {Promise<string>} the cursor after which the stream has all that is not read here
   * @throws {Problem | Unreachable}
   */
  async load() {
    const cursor = await this.#loadConversations(undefined);
    await this.loadRooms();
    return cursor;
  }

  /** Reads the rooms. @throws {Problem | Unreachable} */
  async loadRooms() {
    for (const room of this.#rooms.joined) {
      // It may have been left while another was read.
      if (this.#rooms.has(room)) await this.loadRoom(room);
    }
  }

  /**
   * Reads how a room stands. One that may not be read any more is left, for it would refuse the whole stream.
   *
   * @param {string} room
   * @param {object} [turn] which question about it this is
   * @returns {Promise<boolean>} whether it may be read
   * @throws {Problem | Unreachable} if that cannot be told now
   */
  async loadRoom(room, turn = {}) {
    const chat = this.#chats.get(room);
    try {
      await this.#ask(chat, turn);
      return true;
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 403) throw error;
      this.#rooms.leave(room);
      this.#chats.remove(room);
      this.#events.onUnreadable(room);
      return false;
    }
  }

  /**
   * Tells whether the log is another than it was at a cursor: it was restored from an older backup.
   *
   * @param {string} cursor
   * @throws {Problem | Unreachable}
   */
  async isRestored(cursor) {
    return (await this.#api.gap(this.#chats.me, cursor)) === 'restored';
  }

  /** Asks how many are unread, until that is answered. @param {Chat} chat */
  async recount(chat) {
    const turn = {};
    this.#asked.set(chat, turn);
    await untilAnswered(async () => {
      // It was asked again, or the room was left.
      if (this.#asked.get(chat) !== turn || (chat.isRoom && !this.#rooms.has(chat.peer))) return;
      await (chat.isRoom ? this.loadRoom(chat.peer, turn) : this.#ask(chat, turn));
    });
    this.#events.onChange();
  }

  /** Asks how one conversation stands. @param {Chat} chat @param {object} turn */
  async #ask(chat, turn) {
    this.#asked.set(chat, turn);
    const state = await this.#api.conversation(this.#chats.me, chat.peer, chat.isRoom);
    // Answers may come in another order than they were asked for.
    if (this.#asked.get(chat) !== turn || chat.list(state)) return;
    // The count does not have what was read on another device while the answer was on its way.
    this.recount(chat).catch(() => undefined);
  }

  /**
   * Reads the newest, and all others behind its back.
   *
   * @param {number | undefined} before
   * @returns {Promise<string>} the cursor
   */
  async #loadConversations(before) {
    const { generation } = this.#chats;
    const page = await this.#api.conversations(this.#chats.me, before === undefined ? {} : { before });
    if (generation !== this.#chats.generation) return page.cursor;
    this.#chats.dropCopy();
    for (const listed of page.conversations) {
      // A room that one wrote to is listed too. The state of each joined room is asked for by itself.
      if (isRoom(listed.peer)) continue;
      const chat = this.#chats.get(listed.peer);
      if (!chat.list(listed)) this.recount(chat).catch(() => undefined);
    }
    if (page.more) untilAnswered(() => this.#loadConversations(page.before)).catch(() => undefined);
    this.#events.onChange();
    return page.cursor;
  }
}
