import type { Database, Statement } from 'better-sqlite3';
import { COUNTS, COUNTS_COLUMNS } from '../../message.ts';
import { readBudget } from './budget.ts';

/** The number at which counting of unread messages stops. */
export const MAX_UNREAD = 1000;

/** The maximum number of messages examined on one side of a conversation. Expired ones among them are skipped. */
export const MAX_OF_SIDE = 5000;

/** The number of a room's messages examined between two checks of the time. */
const STEP = 500;

/** The messages of a room to count. */
export interface RoomRange {
  readonly room: string;
  /** The reader, whose own messages are not unread. */
  readonly reader: string;
  /** Only messages with a higher id count. */
  readonly after: number;
  /** The id up to which the log is read. */
  readonly head: number;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
}

/** The result of one step of a count. */
interface Looked {
  readonly unread: number;
  readonly rows: number;
  readonly lowest: number | null;
}

/** Counts of unread messages, up to 1000. Call the methods in a snapshot. */
export class Unread {
  readonly #projected: Statement<[], number>;
  readonly #readThrough: Statement<[string, string], number>;
  readonly #ofSide: Statement<[Record<string, unknown>], number>;
  readonly #step: Statement<[Record<string, unknown>], Looked>;
  readonly #nextSender: Statement<[string, string], string | null>;
  readonly #ofSender: Statement<[Record<string, unknown>], Pick<Looked, 'unread' | 'rows'>>;

  /** @param database a connection for reading */
  constructor(database: Database) {
    const unexpired = '(expiresAt IS NULL OR expiresAt > :now)';
    this.#projected = database.prepare<[], number>('SELECT projected FROM position').pluck();
    this.#readThrough = database
      .prepare<[string, string], number>('SELECT messageId FROM readMarkers WHERE reader = ? AND peer = ?')
      .pluck();
    this.#ofSide = database
      .prepare<[Record<string, unknown>], number>(
        'SELECT count(*) FROM (SELECT 1 FROM (SELECT expiresAt FROM pairMessages ' +
          'WHERE recipient = :address AND sender = :peer AND counts = 1 AND id > :after ' +
          `ORDER BY id DESC LIMIT ${MAX_OF_SIDE}) WHERE ${unexpired} LIMIT ${MAX_UNREAD})`,
      )
      .pluck();
    this.#step = database.prepare(
      `SELECT count(*) FILTER (WHERE ${COUNTS} AND sender <> :reader AND ${unexpired}) AS unread, ` +
        `count(*) AS rows, min(id) AS lowest FROM (SELECT id, sender, ${COUNTS_COLUMNS}, expiresAt FROM messages ` +
        `WHERE recipient = :room AND id > :after AND id < :before ORDER BY id DESC LIMIT ${STEP})`,
    );
    this.#nextSender = database
      .prepare<[string, string], string | null>(
        'SELECT min(sender) FROM pairMessages WHERE recipient = ? AND sender > ?',
      )
      .pluck();
    this.#ofSender = database.prepare(
      `SELECT count(*) FILTER (WHERE ${unexpired}) AS unread, count(*) AS rows FROM (SELECT expiresAt ` +
        'FROM pairMessages WHERE recipient = :room AND sender = :sender AND counts = 1 ' +
        `AND id > :after AND id < :before ORDER BY id DESC LIMIT ${MAX_OF_SIDE})`,
    );
  }

  /** Returns the id up to which a reader has read a peer or a room; `null` without a read marker. */
  readThrough(reader: string, peer: string): number | null {
    return this.#readThrough.get(reader, peer) ?? null;
  }

  /** Counts the projected messages from a peer to an address with id > `after`, among the newest 5000. */
  ofSide(address: string, peer: string, after: number, now: number): number {
    return this.#ofSide.get({ address, peer, after, now }) ?? 0;
  }

  /**
   * Counts the messages that others sent to a room. Examines the newest ones one by one. If there are very many (such
   * as the reader's own, or background ones), counts the rest sender by sender, which skips those. Each part ends after
   * a few milliseconds, so with very many senders some messages may not be counted.
   */
  ofRoom(range: RoomRange): number {
    const { unread, before } = this.#newestOfRoom(range);
    const all = before === undefined ? unread : unread + this.#bySender(range, before, MAX_UNREAD - unread);
    return Math.min(all, MAX_UNREAD);
  }

  /** @returns `before`: the id below which messages are still to be counted; `undefined` if none are */
  #newestOfRoom(range: RoomRange): { unread: number; before: number | undefined } {
    const projected = this.#projected.get() ?? 0;
    const budget = readBudget();
    let unread = 0;
    for (let before = range.head + 1; ;) {
      const step = this.#step.get({ ...range, before }) as Looked;
      unread += step.unread;
      if (step.rows < STEP || unread >= MAX_UNREAD) return { unread, before: undefined };
      before = step.lowest as number;
      budget.spend(step.rows);
      // Only this loop finds messages that are not projected yet.
      if (budget.isSpent && before <= projected + 1) return { unread, before };
    }
  }

  #bySender(range: RoomRange, before: number, limit: number): number {
    const { room, reader } = range;
    const budget = readBudget();
    let unread = 0;
    let sender = this.#nextSender.get(room, '') ?? null;
    while (sender !== null && unread < limit && !budget.isSpent) {
      const found = sender === reader ? undefined : this.#ofSender.get({ ...range, before, sender });
      unread += found?.unread ?? 0;
      budget.spend(1 + (found?.rows ?? 0));
      sender = this.#nextSender.get(room, sender) ?? null;
    }
    return unread;
  }
}
