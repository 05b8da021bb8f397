import { connect } from '../client.js';

/** @import { Connection, Options } from '../client/connect.js' */
/** @import { PresenceAccess } from './presence-access.js' */
/** @import { Rooms } from './rooms.js' */

/** The connection of the page: it follows one's own inbox and the rooms that one has joined, and watches who is online. */
export class Following {
  #me;
  #rooms;
  #access;
  #events;
  #onBegin;
  /** @type {Connection | undefined} */
  #connection;
  /** @type {readonly string[]} */
  #inboxes = [];

  /**
   * @param {string} me
   * @param {Rooms} rooms
   * @param {PresenceAccess} access whose presence is watched
   * @param {Partial<Options>} events what the newest connection tells
   * @param {() => void} onBegin it follows or watches others
   */
  constructor(me, rooms, access, events, onBegin) {
    this.#me = me;
    this.#rooms = rooms;
    this.#access = access;
    this.#events = events;
    this.#onBegin = onBegin;
  }

  /** `undefined` before the first `begin`. */
  get connection() {
    return this.#connection;
  }

  /** The inboxes that are followed. */
  get inboxes() {
    return this.#inboxes;
  }

  /** Follows the inboxes of now. @param {string | undefined} cursor where to begin; `undefined`: where this browser stopped */
  begin(cursor) {
    // A closed connection tells nothing more.
    this.#connection?.close();
    this.#inboxes = [this.#me, ...this.#rooms.joined];
    this.#connection = connect({
      ...this.#events,
      recipient: this.#inboxes,
      sender: this.#me,
      url: document.baseURI,
      cursor,
      presence: this.#access.watched,
    });
    this.#onBegin();
  }

  /** Follows the inboxes of now, from where it is. */
  change() {
    this.begin(this.#connection?.cursor);
  }

  /**
   * Ends the session of this browser, for all its tabs, with what is kept for it and messages that wait. Also without a
   * connection.
   *
   * @returns {Promise<void>} what is kept here is removed before it returns that
   * @throws {Problem | Unreachable} if the service cannot be told
   */
  signOut() {
    this.#connection ??= connect({ recipient: this.#me, url: document.baseURI });
    return this.#connection.signOut({ discard: true });
  }

  /** Watches whether these are online, as far as one may see it. Does nothing before `begin`. @param {readonly string[]} addresses at most 100 */
  async watch(addresses) {
    if (this.#connection === undefined || !(await this.#access.turnTo(addresses))) return;
    this.#connection.watch(this.#access.watched);
    this.#onBegin();
  }
}
