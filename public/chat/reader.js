import { Problem } from '../client.js';
import { isRoom } from './chat.js';
import { untilAnswered } from './until-answered.js';

/** @import { Api } from './api.js' */
/** @import { Chat } from './chat.js' */
/** @import { Chats } from './chats.js' */
/** @import { Rooms } from './rooms.js' */

/** A reader of the conversations as they are now. Later messages come through the stream. */
export class Reader {
  #api;
  #chats;
  #rooms;
  #events;
  /** The last question about each chat. @type {WeakMap<Chat, object>} */
  #asked = new WeakMap();

  /**
   * @param {Api} api
   * @param {Chats} chats
   * @param {Rooms} rooms
   * @param {{ onChange: () => void, onUnreadable: (room: string) => void }} events `onUnreadable`: a room was left,
   *   because it may not be read; its chat is still there, and must be removed
   */
  constructor(api, chats, rooms, events) {
    this.#api = api;
    this.#chats = chats;
    this.#rooms = rooms;
    this.#events = events;
  }

  /**
   * Reads the list of conversations and the rooms.
   *
   * @returns {Promise<string>} the cursor after which the stream has everything that is not read here
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
      // The room may have been left while another one was read.
      if (this.#rooms.has(room)) await this.loadRoom(room);
    }
    this.#events.onChange();
  }

  /**
   * Reads the state of a room. Leaves a room that may no longer be read: the service would refuse the whole
   * stream for it.
   *
   * @param {string} room
   * @param {object} [turn] identifies this question about the room
   * @returns {Promise<boolean>} whether it may be read
   * @throws {Problem | Unreachable} if the answer is not known now
   */
  async loadRoom(room, turn = {}) {
    const chat = this.#chats.get(room);
    try {
      await this.#ask(chat, turn);
      return true;
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 403) throw error;
      this.#rooms.leave(room);
      this.#events.onUnreadable(room);
      return false;
    }
  }

  /**
   * Returns whether the log was restored from an older backup since a cursor.
   *
   * @param {string} cursor
   * @throws {Problem | Unreachable}
   */
  async isRestored(cursor) {
    return (await this.#api.gap(this.#chats.me, cursor)) === 'restored';
  }

  /** Asks for the number of unread messages, until there is an answer. @param {Chat} chat */
  async recount(chat) {
    const turn = {};
    this.#asked.set(chat, turn);
    await untilAnswered(async () => {
      // There is a newer question, or the room was left.
      if (this.#asked.get(chat) !== turn || (chat.isRoom && !this.#rooms.has(chat.peer))) return;
      await (chat.isRoom ? this.loadRoom(chat.peer, turn) : this.#ask(chat, turn));
    });
    this.#events.onChange();
  }

  /** Asks for the state of one conversation. @param {Chat} chat @param {object} turn */
  async #ask(chat, turn) {
    this.#asked.set(chat, turn);
    const state = await this.#api.conversation(this.#chats.me, chat.peer, chat.isRoom);
    // Answers may come out of order.
    if (this.#asked.get(chat) !== turn || chat.list(state)) return;
    // The count does not know what another device has read while the answer was on its way.
    this.recount(chat).catch(() => undefined);
  }

  /**
   * Reads the newest conversations, and all others in the background.
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
      // The list also has rooms that the person wrote to. Joined rooms are asked for separately.
      if (isRoom(listed.peer)) continue;
      const chat = this.#chats.get(listed.peer);
      if (!chat.list(listed)) this.recount(chat).catch(() => undefined);
    }
    if (page.more) untilAnswered(() => this.#loadConversations(page.before)).catch(() => undefined);
    this.#events.onChange();
    return page.cursor;
  }
}
