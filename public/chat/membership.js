import { isRoom } from './chat.js';
import { isolated } from './dom.js';

/** @import { Chats } from './chats.js' */
/** @import { Following } from './following.js' */
/** @import { Reader } from './reader.js' */
/** @import { Rooms } from './rooms.js' */
/** @import { Route } from './route.js' */
/** @import { Sidebar } from './sidebar.js' */

const CANNOT_JOIN = 'You cannot join a room now: the service cannot be reached.';

/** The joining and leaving of rooms, with everything that depends on it. */
export class Membership {
  #parts;
  #events;

  /**
   * @param {{ rooms: Rooms, chats: Chats, reader: Reader, following: Following, sidebar: Sidebar, route: Route }} parts
   * @param {{ onJoined: () => void, onRemoved: () => void }} events `onRemoved`: a room is no longer in the list,
   *   whichever conversation is open
   */
  constructor(parts, events) {
    this.#parts = parts;
    this.#events = events;
    parts.rooms.watch(() => void this.#follow());
  }

  /** Joins a room, if the service can be reached and allows it. @param {string} room */
  async join(room) {
    const { rooms, reader, following, sidebar, route } = this.#parts;
    const { connection } = following;
    if (connection === undefined) {
      sidebar.say(CANNOT_JOIN);
      return;
    }
    // The cursor from before the room is read: messages that arrive in the meantime come through the stream.
    const { cursor } = connection;
    const joined = await reader.loadRoom(room).catch(() => {
      sidebar.say(CANNOT_JOIN);
      if (!rooms.has(room)) this.#remove(room);
      return false;
    });
    if (!joined) {
      // Another conversation may be open by now.
      route.close(room);
      return;
    }
    rooms.join(room);
    following.begin(cursor);
    this.#events.onJoined();
  }

  /** Goes on without a room that this person may not read. @param {string} room */
  giveUp(room) {
    const { following, sidebar, route } = this.#parts;
    this.#remove(room);
    sidebar.say(`You are not allowed to read ${isolated(room)}. It was removed from your list.`);
    route.close(room);
    if (following.inboxes.includes(room)) following.change();
  }

  /** @param {string} room */
  leave(room) {
    const { rooms, following, route } = this.#parts;
    rooms.leave(room);
    this.#remove(room);
    route.forget();
    // A first connection will not follow the room anyway.
    if (following.connection !== undefined) following.change();
  }

  /** Joins and leaves the rooms that another window of this browser joined or left. */
  async #follow() {
    const { rooms, chats, reader, following, route } = this.#parts;
    const cursor = following.connection?.cursor;
    for (const chat of chats.list) if (chat.isRoom && !rooms.has(chat.peer)) this.#remove(chat.peer);
    const { peer } = route;
    if (peer !== undefined && isRoom(peer) && !rooms.has(peer)) route.close(peer);
    // A room that is missing from a copy is loaded with everything else.
    for (const room of chats.isCopy ? [] : rooms.joined)
      if (!chats.has(room)) await reader.loadRoom(room).catch(() => undefined);
    // A page that is still loading will follow these rooms anyway.
    if (cursor !== undefined) following.begin(cursor);
  }

  /** @param {string} room */
  #remove(room) {
    this.#parts.chats.remove(room);
    this.#events.onRemoved();
  }
}
