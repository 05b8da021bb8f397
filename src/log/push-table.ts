import type { Database, Statement } from 'better-sqlite3';
import { MESSAGE_TYPE } from '../message.ts';
import { type Conversations, MOST_UNREAD } from './conversations.ts';
import type {
  CoveredNotice,
  PushAddress,
  PushChange,
  PushEntry,
  PushStore,
  PushSubscription,
  Received,
} from './push-store.ts';

/** Of a room so many messages are looked at to count the unread ones: read markers and the like stand between them. */
const LOOK_AT = 2000;

/** What the table needs of the log around it. */
export interface PushTableParts {
  /** A connection for reading. */
  readonly database: Database;
  readonly conversations: Conversations;
  /** Milliseconds since the Unix epoch, now. */
  readonly now: () => number;
  /** Through which id the log is read. */
  readonly head: () => number;
  readonly apply: (entries: readonly PushEntry[]) => Promise<readonly PushChange[]>;
}

/** The subscriptions to notifications in the database of the log. */
export class PushTable implements PushStore {
  readonly #parts: PushTableParts;
  readonly #addresses: Statement<[], PushAddress>;
  readonly #byId: Statement<[number], PushSubscription>;
  readonly #ofRecipient: Statement<[string], PushSubscription>;
  readonly #ofEndpoint: Statement<[string], PushSubscription>;
  readonly #received: Statement<[string, number, number, number], Received>;
  readonly #readThrough: Statement<[string, string], number>;
  readonly #notified: Statement<[number, string], number>;
  readonly #covered: Statement<[number, string], CoveredNotice>;
  readonly #unreadOfRoom: Statement<[Record<string, unknown>], number>;

  constructor(parts: PushTableParts) {
    this.#parts = parts;
    const { database } = parts;
    const columns =
      'SELECT id, recipient, reader, endpoint, p256dh, auth, expirationTime, createdAt, since, through ' +
      'FROM pushSubscriptions';
    this.#addresses = database.prepare('SELECT id, recipient, reader FROM pushSubscriptions');
    this.#byId = database.prepare(`${columns} WHERE id = ?`);
    this.#ofRecipient = database.prepare(`${columns} WHERE recipient = ? ORDER BY id`);
    this.#ofEndpoint = database.prepare(`${columns} WHERE endpoint = ? ORDER BY id`);
    this.#received = database.prepare(
      'SELECT id, sender, type, createdAt, expiresAt FROM messages ' +
        'WHERE recipient = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?',
    );
    this.#readThrough = database
      .prepare<[string, string], number>('SELECT messageId FROM readMarkers WHERE reader = ? AND peer = ?')
      .pluck();
    this.#notified = database
      .prepare<[number, string], number>(
        'SELECT messageId FROM pushNotices WHERE subscription = ? AND peer = ?',
      )
      .pluck();
    this.#covered = database.prepare(
      'SELECT pushNotices.peer, pushNotices.messageId, readMarkers.messageId AS through FROM pushNotices ' +
        'JOIN readMarkers ON readMarkers.peer = pushNotices.peer AND readMarkers.messageId >= pushNotices.messageId ' +
        'WHERE pushNotices.subscription = ? AND readMarkers.reader = ?',
    );
    this.#unreadOfRoom = database
      .prepare<[Record<string, unknown>], number>(
        'SELECT count(*) FROM (SELECT sender, type, expiresAt FROM messages ' +
          `WHERE recipient = :recipient AND id > :after AND id <= :head ORDER BY id LIMIT ${LOOK_AT}) ` +
          `WHERE type = '${MESSAGE_TYPE}' AND sender <> :reader AND (expiresAt IS NULL OR expiresAt > :now)`,
      )
      .pluck();
  }

  addresses(): PushAddress[] {
    return this.#addresses.all();
  }

  subscription(id: number): PushSubscription | undefined {
    return this.#byId.get(id);
  }

  ofRecipient(recipient: string): PushSubscription[] {
    return this.#ofRecipient.all(recipient);
  }

  ofEndpoint(endpoint: string): PushSubscription[] {
    return this.#ofEndpoint.all(endpoint);
  }

  received(recipient: string, after: number, head: number, limit: number): Received[] {
    return this.#received.all(recipient, after, head, limit);
  }

  readThrough(reader: string, peer: string): number {
    return this.#readThrough.get(reader, peer) ?? 0;
  }

  notified(id: number, peer: string): number {
    return this.#notified.get(id, peer) ?? 0;
  }

  covered(id: number, reader: string): CoveredNotice[] {
    return this.#covered.all(id, reader);
  }

  unread(endpoint: string): number {
    let unread = 0;
    for (const subscription of this.ofEndpoint(endpoint)) {
      if (unread >= MOST_UNREAD) break;
      unread += this.#unreadOf(subscription);
    }
    return Math.min(unread, MOST_UNREAD);
  }

  apply(entries: readonly PushEntry[]): Promise<readonly PushChange[]> {
    return this.#parts.apply(entries);
  }

  /** What was in a room before one followed it is not unread. */
  #unreadOf({ recipient, reader, since }: PushSubscription): number {
    const { conversations, now, head } = this.#parts;
    if (reader === recipient) return conversations.unread(recipient, head(), now());
    const after = Math.max(since, this.readThrough(reader, recipient));
    return this.#unreadOfRoom.get({ recipient, reader, after, head: head(), now: now() }) ?? 0;
  }
}
