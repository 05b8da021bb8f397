import { Problem } from '../client.js';
import { isRoom } from './chats.js';

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
    const cursor = await this.#loadConversations(undefined);
    for (const room of this.#rooms.joined) await this.loadRoom(room);
    return cursor;
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
      let { messages, more } = await this.#api.history(this.#chats.me, room, true, undefined);
      chat.addHistory(messages, more);
      const readThrough = this.#rooms.readThrough(chat);
      while (more && messages.length < MOST_UNREAD && (messages[0]?.id ?? 0) > readThrough) {
        const before = messages[0]?.id;
        const older = await this.#api.history(this.#chats.me, room, true, before, MOST_UNREAD / 2);
        chat.addHistory(older.messages, older.more);
        messages = [...older.messages, ...messages];
        more = older.more;
      }
      this.#rooms.countUnread(chat, messages);
      return true;
    } catch (error) {
      if (!(error instanceof Problem) || error.passes) throw error;
      this.#rooms.leave(room);
      this.#chats.remove(room);
      this.#events.onUnreadable(room, error.message);
      return false;
    }
  }

  /** Asks how many are unread. @param {Chat} chat */
  async recount(chat) {
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
    if (listed !== undefined) chat.list(listed);
  }

  /**
   * Reads the newest, and all others behind its back.
   *
   * @param {number | undefined} before
   * @returns {Promise<string>} the cursor
   */
  async #loadConversations(before) {
    const page = await this.#api.conversations(this.#chats.me, before === undefined ? {} : { before });
    // What one wrote to a room is a conversation too, also after one has left it.
    for (const listed of page.conversations) {
      if (isRoom(listed.peer) && !this.#rooms.has(listed.peer)) continue;
      const chat = this.#chats.get(listed.peer);
      if (!chat.list(listed)) void this.recount(chat).then(this.#events.onChange, () => undefined);
    }
    const oldest = page.conversations.at(-1)?.lastMessage.id;
    if (page.more && oldest !== undefined) void this.#loadConversations(oldest).catch(() => undefined);
    this.#events.onChange();
    return page.cursor;
  }
}
