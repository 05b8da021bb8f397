import { connect } from '../client.js';

/** @import { Connection, Options } from '../client/connect.js' */
/** @import { PresenceAccess } from './presence-access.js' */
/** @import { Rooms } from './rooms.js' */

/**
 * The connection of the page: it follows the person's own inbox and joined rooms, and watches who is online.
 */
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
   * @param {PresenceAccess} access says whose presence may be watched
   * @param {Partial<Options>} events the callbacks of the newest connection
   * @param {() => void} onBegin called when it follows or watches other addresses
   */
  constructor(me, rooms, access, events, onBegin) {
    this.#me = me;
    this.#rooms = rooms;
    this.#access = access;
    this.#events = events;
    this.#onBegin = onBegin;
  }

  /** The connection; `undefined` before the first `begin`. */
  get connection() {
    return this.#connection;
  }

  /** The inboxes that are followed. */
  get inboxes() {
    return this.#inboxes;
  }

  /**
   * Follows the current inboxes.
   *
   * @param {string | undefined} cursor where to begin; `undefined`: where this browser stopped
   */
  begin(cursor) {
    // A closed connection calls nothing back.
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

  /** Follows the current inboxes, from the current position. */
  change() {
    this.begin(this.#connection?.cursor);
  }

  /**
   * Ends the session of this browser for all its tabs, and removes everything stored for it, even waiting
   * messages. Works without a connection, too.
   *
   * @returns {Promise<void>} resolves when the session has ended; what is stored here is removed before this
   *   returns
   * @throws {Problem | Unreachable} if the service cannot be told
   */
  signOut() {
    this.#connection ??= connect({ recipient: this.#me, url: document.baseURI });
    return this.#connection.signOut({ discard: true });
  }

  /**
   * Watches whether these are online, as far as the person may see it. Does nothing before `begin`.
   *
   * @param {readonly string[]} addresses at most 100
   */
  async watch(addresses) {
    if (this.#connection === undefined || !(await this.#access.turnTo(addresses))) return;
    this.#connection.watch(this.#access.watched);
    this.#onBegin();
  }
}
