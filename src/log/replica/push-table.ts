import type { Database, Statement } from 'better-sqlite3';
import { COUNTS } from '../../message.ts';
import type { Conversations } from './conversations.ts';
import { MAX_NOTICES } from './push-apply.ts';
import type {
  PushOutcome,
  PushChange,
  SubscriptionRef,
  PushStore,
  PushSubscription,
  Received,
} from '../push-store.ts';
import { reading } from './reading.ts';
import { MAX_UNREAD } from './unread.ts';

/**
 * The maximum number of a device's inboxes that are counted. A database from before the bound existed may have more.
 */
const MAX_INBOXES = 100;

/** The fields needed to count an inbox that a device follows. */
type Inbox = Pick<PushSubscription, 'recipient' | 'reader' | 'since'>;

/** The parts of the log that the table uses. */
export interface PushTableParts {
  /** A connection for reading. */
  readonly database: Database;
  readonly conversations: Conversations;
  /** Returns the milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Returns the id up to which the log is read. */
  readonly head: () => number;
  readonly apply: (changes: readonly PushChange[]) => Promise<readonly PushOutcome[]>;
}

/** The subscriptions to notifications in the log's database. All reads throw `LogUnreadable` if the disk fails. */
export class PushTable implements PushStore {
  readonly #parts: PushTableParts;
  readonly #recipients: Statement<[], { recipient: string; count: number }>;
  readonly #all: Statement<[number, number], SubscriptionRef>;
  readonly #byId: Statement<[number], PushSubscription>;
  readonly #ofRecipient: Statement<[string, number, number], PushSubscription>;
  readonly #ofReader: Statement<[string, string, number, number], SubscriptionRef>;
  readonly #inboxesOf: Statement<[string, number], Inbox>;
  readonly #isRecipient: Statement<[string, string], number>;
  readonly #isReader: Statement<[string, string], number>;
  readonly #received: Statement<[string, number, number, number], Received>;
  readonly #readThrough: Statement<[string, string], number>;
  readonly #notified: Statement<[number, string], number>;
  readonly #covered: Statement<[number, string, number], number>;
  readonly #peerOfNotice: Statement<[number, number], string>;

  constructor(parts: PushTableParts) {
    this.#parts = parts;
    const { database } = parts;
    const columns =
      'SELECT id, recipient, reader, endpoint, p256dh, auth, expirationTime, createdAt, since, through, client ' +
      'FROM pushSubscriptions';
    const places = 'SELECT id, recipient, endpoint FROM pushSubscriptions';
    const page = 'id > ? ORDER BY id LIMIT ?';
    this.#recipients = database.prepare(
      'SELECT recipient, count(*) AS count FROM pushSubscriptions GROUP BY recipient',
    );
    this.#all = database.prepare(`${places} WHERE ${page}`);
    this.#byId = database.prepare(`${columns} WHERE id = ?`);
    this.#ofRecipient = database.prepare(`${columns} WHERE recipient = ? AND ${page}`);
    this.#ofReader = database.prepare(`${places} WHERE reader = ? AND recipient = ? AND ${page}`);
    this.#inboxesOf = database.prepare(
      'SELECT recipient, reader, since FROM pushSubscriptions WHERE endpoint = ? LIMIT ?',
    );
    const isOwn = (column: 'recipient' | 'reader'): Statement<[string, string], number> =>
      database
        .prepare<[string, string], number>(
          `SELECT 1 FROM pushSubscriptions WHERE ${column} = ? AND endpoint = ? LIMIT 1`,
        )
        .pluck();
    this.#isRecipient = isOwn('recipient');
    this.#isReader = isOwn('reader');
    this.#received = database.prepare(
      `SELECT id, sender, ${COUNTS} AS counts, createdAt, expiresAt FROM messages ` +
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
    this.#covered = database
      .prepare<[number, string, number], number>(
        'SELECT shown.messageId FROM (SELECT peer, messageId FROM pushNotices WHERE subscription = ? ' +
          `ORDER BY messageId DESC LIMIT ${MAX_NOTICES}) AS shown ` +
          'CROSS JOIN readMarkers ON readMarkers.reader = ? AND readMarkers.peer = shown.peer ' +
          'AND readMarkers.messageId >= shown.messageId ORDER BY shown.messageId LIMIT ?',
      )
      .pluck();
    this.#peerOfNotice = database
      .prepare<[number, number], string>(
        'SELECT peer FROM pushNotices WHERE subscription = ? AND messageId = ?',
      )
      .pluck();
  }

  recipients(): Iterable<{ recipient: string; count: number }> {
    return reading(() => this.#recipients.all());
  }

  all(after: number, limit: number): SubscriptionRef[] {
    return reading(() => this.#all.all(after, limit));
  }

  ofRecipient(recipient: string, after: number, limit: number): PushSubscription[] {
    return reading(() => this.#ofRecipient.all(recipient, after, limit));
  }

  ofReader(reader: string, recipient: string, after: number, limit: number): SubscriptionRef[] {
    return reading(() => this.#ofReader.all(reader, recipient, after, limit));
  }

  subscription(id: number): PushSubscription | undefined {
    return reading(() => this.#byId.get(id));
  }

  has(recipient: string, endpoint: string): boolean {
    return reading(() => this.#isRecipient.get(recipient, endpoint) !== undefined);
  }

  inboxesOf(endpoint: string, limit: number): string[] {
    return this.#inboxes(endpoint, limit).map(({ recipient }) => recipient);
  }

  isOwn(endpoint: string, address: string): boolean {
    return this.has(address, endpoint) || reading(() => this.#isReader.get(address, endpoint) !== undefined);
  }

  received(recipient: string, after: number, head: number, limit: number): Received[] {
    return reading(() => this.#received.all(recipient, after, head, limit));
  }

  readThrough(reader: string, peer: string): number {
    return reading(() => this.#readThrough.get(reader, peer) ?? 0);
  }

  notified(id: number, peer: string): number {
    return reading(() => this.#notified.get(id, peer) ?? 0);
  }

  covered(id: number, reader: string, limit: number): number[] {
    return reading(() => this.#covered.all(id, reader, limit));
  }

  peerOfNotice(id: number, messageId: number): string | undefined {
    return reading(() => this.#peerOfNotice.get(id, messageId));
  }

  *unread(endpoint: string): Generator<undefined, number> {
    let unread = 0;
    for (const inbox of this.#inboxes(endpoint, MAX_INBOXES)) {
      unread += this.#unreadOf(inbox);
      if (unread >= MAX_UNREAD) return MAX_UNREAD;
      yield;
    }
    return unread;
  }

  apply(changes: readonly PushChange[]): Promise<readonly PushOutcome[]> {
    return this.#parts.apply(changes);
  }

  #inboxes(endpoint: string, limit: number): Inbox[] {
    return reading(() => this.#inboxesOf.all(endpoint, limit));
  }

  /** Counts the unread messages of an inbox. In a room, messages from before the subscription do not count. */
  #unreadOf({ recipient, reader, since }: Inbox): number {
    const { conversations, now, head } = this.#parts;
    if (reader === recipient) return conversations.unread(recipient, head(), now());
    const after = Math.max(since, this.readThrough(reader, recipient));
    return conversations.unreadOfRoom(reader, recipient, after, head(), now());
  }
}
