import { Problem } from '../client.js';
import { idOf } from '../client/feed.js';
import { isRoom } from './chats.js';
import { untilAnswered } from './until-answered.js';

/** @import { Api } from './api.js' */
/** @import { Chat, Chats } from './chats.js' */
/** @import { Rooms } from './rooms.js' */

/** Of a room so many messages are looked at to count the unread ones. */
const MOST_UNREAD = 1000;

/** Reads what there is: what comes after it comes by the stream. */
export class Reader {
  #api;
  #chats;
  #rooms;
  #events;
  /** Which count of a chat was asked for last. @type {WeakMap<Chat, object>} */
  #asked = new WeakMap();

  /**
   * @param {Api} api
   * @param {Chats} chats
   * @param {Rooms} rooms
   * @param {{ onChange: () => void, onUnreadable: (room: string, why: string) => void }} events
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
    const { furthest } = this.#rooms;
    const cursor = await this.#loadConversations(undefined);
    // The log went back in time while no window was open: none was told.
    if (furthest > idOf(cursor)) this.#rooms.forgetRead();
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
   * Reads a room. One that may not be read any more is left, for it would refuse the whole stream.
   *
   * @param {string} room
   * @returns {Promise<boolean>} whether it may be read
   * @throws {Problem | Unreachable} where that cannot be told now
   */
  async loadRoom(room) {
    const chat = this.#chats.get(room);
    try {
      let page = await this.#api.history(this.#chats.me, room, true, undefined);
      chat.addHistory(page.messages, page.more, page.before);
      let { messages } = page;
      const readThrough = this.#rooms.readThrough(chat);
      while (page.more && messages.length < MOST_UNREAD && (page.before ?? 0) > readThrough) {
        page = await this.#api.history(this.#chats.me, room, true, page.before, MOST_UNREAD / 2);
        chat.addHistory(page.messages, page.more, page.before);
        messages = [...page.messages, ...messages];
      }
      this.#rooms.countUnread(chat, messages);
      return true;
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 403) throw error;
      this.#rooms.leave(room);
      this.#chats.remove(room);
      this.#events.onUnreadable(room, error.message);
      return false;
    }
  }

  /** Asks how many are unread, until that is answered. @param {Chat} chat */
  async recount(chat) {
    const turn = {};
    this.#asked.set(chat, turn);
    await untilAnswered(async () => {
      // It is asked anew, or the room was left.
      if (this.#asked.get(chat) !== turn || (chat.isRoom && !this.#rooms.has(chat.peer))) return;
      if (chat.isRoom) {
        await this.loadRoom(chat.peer);
        return;
      }
      const before = (chat.lastMessage?.id ?? 0) + 1;
      /** @param {{ before?: number, limit?: number }} page */
      const find = async (page) => {
        const { conversations } = await this.#api.conversations(this.#chats.me, page);
        return conversations.find(({ peer }) => peer === chat.peer);
      };
      // It stands among the newest where a newer message of it is on its way.
      const listed = (await find({ before, limit: 1 })) ?? (await find({}));
      // Answers may come in another order than they were asked for.
      if (listed !== undefined && this.#asked.get(chat) === turn) chat.list(listed);
    });
    this.#events.onChange();
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
    // What one wrote to a room is a conversation too, also after one has left it.
    for (const listed of page.conversations) {
      if (isRoom(listed.peer) && !this.#rooms.has(listed.peer)) continue;
      const chat = this.#chats.get(listed.peer);
      if (!chat.list(listed)) this.recount(chat).catch(() => undefined);
    }
    if (page.more) untilAnswered(() => this.#loadConversations(page.before)).catch(() => undefined);
    this.#events.onChange();
    return page.cursor;
  }
}
