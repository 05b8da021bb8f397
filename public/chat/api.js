import { Problem, Service } from '../client/service.js';
import { storage } from '../client/storage.js';

/** @import { Page, Stored } from '../client/feed.js' */

/**
 * How a conversation with a person stands, or a room.
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

/** Where the browser keeps that its session is to end: the service cannot always be told at once. */
const LEAVING = 'tidings:chat:leaving';

/** What the chat asks of the service, beside what `client.js` does. */
export class Api {
  #service = new Service(document.baseURI);

  /** Where something of the service is. @param {string} path @param {[string, string][]} [query] */
  url(path, query = []) {
    return this.#service.url(path, query).href;
  }

  /**
   * Who the browser is.
   *
   * @returns {Promise<Session | undefined>} `sub` is null in open mode; `undefined` where one has to sign in
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
   * @throws {Problem} where the token is not taken
   */
  async signIn(token) {
    const headers = { Authorization: `Bearer ${token}` };
    const session = /** @type {Session} */ (await this.#service.send('PUT', 'session', headers));
    // The session that was to end is no more.
    storage.remove(LEAVING);
    return session;
  }

  /** Whether somebody has signed out, and the service could not be told yet. */
  get isLeaving() {
    return storage.get(LEAVING) !== undefined;
  }

  /** Keeps that the session is to end, until `signOut` has ended it or another has begun. */
  leave() {
    try {
      storage.set(LEAVING, '');
    } catch {
      // No room: it is ended now, or not until the button is pressed again.
    }
  }

  /**
   * Ends the session.
   *
   * @throws {Problem | Unreachable} where that has to be tried again
   */
  async signOut() {
    try {
      await this.#service.send('DELETE', 'session', {});
    } catch (error) {
      // A service without sessions has none to end.
      if (!(error instanceof Problem) || error.passes) throw error;
    }
    storage.remove(LEAVING);
  }

  /**
   * The conversations of an address, newest first.
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
   * How one conversation stands, also if there is no message of it.
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

  /** Whether addresses are online. @param {readonly string[]} addresses 1 to 100 */
  async presence(addresses) {
    await this.#service.get(
      'presence',
      addresses.map((address) => ['recipient', address]),
    );
  }

  /**
   * A page of history, oldest first: of a room all that was sent to it, of a person what the two sent to each other.
   *
   * @param {string} me
   * @param {string} peer
   * @param {boolean} isRoom
   * @param {number | undefined} before an id; `undefined`: the newest
   * @param {number} [limit]
   * @returns {Promise<Page>}
   */
  async history(me, peer, isRoom, before, limit = PAGE) {
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

  /** What a browser subscribes to notifications with: base64url. */
  async pushKey() {
    const { publicKey } = /** @type {{ publicKey: string }} */ (await this.#service.get('push-key', []));
    return publicKey;
  }

  /**
   * Has this device notified of what a recipient gets.
   *
   * @param {string} recipient
   * @param {string} reader
   * @param {PushSubscription} subscription
   */
  async subscribe(recipient, reader, subscription) {
    await this.#service.post('push-subscriptions', { recipient, reader, subscription });
  }

  /**
   * Has a device notified no more.
   *
   * @param {string} endpoint
   * @param {string} [recipient] of whose messages; of nothing any more where left out
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
