import { Problem } from '../client/errors.js';
import { createService } from '../client/service.js';
import { storage } from '../client/storage.js';

/** @import { Page, Stored } from '../client/feed.js' */
/** @import { Storage } from '../client/storage.js' */

/**
 * The state of a conversation with a person, or of a room.
 *
 * @typedef {object} ConversationState
 * @property {Stored | null} lastMessage
 * @property {number} unread
 * @property {number | null} readThrough
 * @property {number | null} [peerReadThrough] not of a room
 */

/** @typedef {ConversationState & { peer: string }} ListedConversation */

/** @typedef {{ sub: string | null, expiresAt: string | null }} Session */

const PAGE = 50;

/** The name of the browser's note that its session must end: the service may not be reachable at once. */
const LEAVING = 'leaving';

/** The requests of the chat, besides those of `client.js`. */
export class Api {
  #service = createService(document.baseURI);
  #leaving = this.keptName(LEAVING);

  /**
   * Returns the name under which the browser stores something of the chat, or the name of a lock or a
   * channel. It differs for each service of a site. A value that an older version stored for all services
   * goes to the first one that asks.
   *
   * @param {string} name
   * @param {readonly Storage[]} [stores] the storages that have it
   * @returns {string}
   */
  keptName(name, stores = [storage]) {
    const kept = `tidings:${this.#service.name}:chat:${name}`;
    for (const store of stores) renameKept(store, `tidings:chat:${name}`, kept);
    return kept;
  }

  /** Returns the URL of a path of the service. @param {string} path @param {[string, string][]} [query] */
  url(path, query = []) {
    return this.#service.url(path, query).href;
  }

  /**
   * Asks whose session the browser has.
   *
   * @returns {Promise<Session | undefined>} `sub` is null in open mode; `undefined` if nobody is signed in
   */
  async session() {
    try {
      return /** @type {Session} */ (await this.#service.get('session', []));
    } catch (error) {
      if (error instanceof Problem && error.status === 401) return undefined;
      throw error;
    }
  }

  /**
   * Signs in.
   *
   * @param {string} token
   * @returns {Promise<Session>}
   * @throws {Problem} if the token is not accepted
   */
  async signIn(token) {
    const headers = { Authorization: `Bearer ${token}` };
    const session = /** @type {Session} */ (await this.#service.send('PUT', 'session', headers));
    // The session that was to end is gone.
    storage.remove(this.#leaving);
    return session;
  }

  /** Whether somebody has signed out, and the service could not be told yet. */
  get isLeaving() {
    return storage.get(this.#leaving) !== undefined;
  }

  /** Notes that the session must end, until `signOut` has ended it or another one has begun. */
  leave() {
    storage.set(this.#leaving, '');
  }

  /**
   * Ends the session.
   *
   * @throws {Problem | Unreachable} if it must be tried again
   */
  async signOut() {
    try {
      await this.#service.send('DELETE', 'session', {});
    } catch (error) {
      // A service without sessions has none to end.
      if (!(error instanceof Problem) || error.passes) throw error;
    }
    storage.remove(this.#leaving);
  }

  /**
   * Gets the conversations of an address, the newest first.
   *
   * @param {string} me
   * @param {{ before?: number, limit?: number }} [page]
   * @returns {Promise<{ conversations: ListedConversation[], cursor: string, more: boolean, before?: number }>}
   */
  async conversations(me, { before, limit = PAGE } = {}) {
    /** @type {[string, string][]} */
    const query = [
      ['recipient', me],
      ['limit', String(limit)],
    ];
    if (before !== undefined) query.push(['before', String(before)]);
    return /** @type {any} */ (await this.#service.get('conversations', query));
  }

  /**
   * Gets the state of one conversation, even if it has no messages.
   *
   * @param {string} me
   * @param {string} peer a person, or a room
   * @param {boolean} isRoom
   * @returns {Promise<ConversationState>}
   */
  async conversation(me, peer, isRoom) {
    /** @type {[string, string][]} */
    const query = [
      ['recipient', me],
      [isRoom ? 'room' : 'peer', peer],
    ];
    const answer = await this.#service.get('conversations', query);
    const [state] = /** @type {{ conversations: [ConversationState] }} */ (answer).conversations;
    return state;
  }

  /** Asks whether addresses are online. @param {readonly string[]} addresses 1 to 100 */
  async presence(addresses) {
    await this.#service.get(
      'presence',
      addresses.map((address) => ['recipient', address]),
    );
  }

  /**
   * Gets a page of history, the oldest first: everything sent to a room, or between two people.
   *
   * @param {string} me
   * @param {string} peer
   * @param {boolean} isRoom
   * @param {number | undefined} before an id; `undefined` for the newest messages
   * @param {number} limit
   * @returns {Promise<Page>}
   */
  async history(me, peer, isRoom, before, limit) {
    /** @type {[string, string][]} */
    const whose = isRoom
      ? [['recipient', peer]]
      : [
          ['between', me],
          ['between', peer],
        ];
    const query = /** @type {[string, string][]} */ ([
      ...whose,
      ['before', before === undefined ? 'latest' : String(before)],
      ['limit', String(limit)],
    ]);
    return /** @type {Page} */ (await this.#service.get('messages', query));
  }

  /**
   * Returns why messages after a cursor are missing.
   *
   * @param {string} me
   * @param {string} cursor
   * @returns {Promise<Page['gap']>}
   */
  async gap(me, cursor) {
    const query = { recipient: me, after: cursor, limit: '1' };
    const { gap } = /** @type {Page} */ (await this.#service.get('messages', Object.entries(query)));
    return gap;
  }

  /** Gets the key with which a browser subscribes to notifications, in base64url. */
  async pushKey() {
    const { publicKey } = /** @type {{ publicKey: string }} */ (await this.#service.get('push-key', []));
    return publicKey;
  }

  /**
   * Turns on this device's notifications of what a recipient gets.
   *
   * @param {string} recipient
   * @param {string} reader
   * @param {PushSubscription} subscription
   */
  async subscribe(recipient, reader, subscription) {
    await this.#service.post('push-subscriptions', { recipient, reader, subscription });
  }

  /**
   * Turns off a device's notifications.
   *
   * @param {string} endpoint
   * @param {string} [recipient] of whose messages; of all if it is left out
   */
  async unsubscribe(endpoint, recipient) {
    const headers = { 'Content-Type': 'application/json' };
    await this.#service.send(
      'DELETE',
      'push-subscriptions',
      headers,
      JSON.stringify({ endpoint, recipient }),
    );
  }
}

/**
 * Moves a value that an older version of this page stored under another name. Does nothing if there is none,
 * and keeps a value that is already stored under the new name.
 *
 * @param {Storage} store
 * @param {string} old
 * @param {string} name
 */
export function renameKept(store, old, name) {
  const value = store.get(old);
  if (value === undefined) return;
  if (store.get(name) === undefined) store.set(name, value);
  // Only now that it is stored: the page may end at any time.
  store.remove(old);
}
