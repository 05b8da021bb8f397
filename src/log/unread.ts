import type { Database, Statement } from 'better-sqlite3';
import { COUNTS } from '../message.ts';
import { readBudget } from './budget.ts';

/** What is unread is counted so far, and no further. */
export const MAX_UNREAD = 1000;

/** Of one side of a conversation so many messages are looked at: those among them that have expired are passed over. */
export const MAX_OF_SIDE = 5000;

/** Messages of a room that are looked at before the time is looked at. */
const STEP = 500;

/** What is counted of a room. */
export interface RoomRange {
  readonly room: string;
  /** Whose own messages are not unread. */
  readonly reader: string;
  /** Only messages with a higher id. */
  readonly after: number;
  /** The log is read through this id. */
  readonly head: number;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
}

/** What one step of a count has looked at. */
interface Looked {
  readonly unread: number;
  readonly rows: number;
  readonly lowest: number | null;
}

/** Counts what is unread, to 1000 and no further. Call it in a snapshot. */
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
        'count(*) AS rows, min(id) AS lowest FROM (SELECT id, sender, type, background, expiresAt FROM messages ' +
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

  /** How far a reader has read what a peer sent, or in a room; `null` if they never said. */
  readThrough(reader: string, peer: string): number | null {
    return this.#readThrough.get(reader, peer) ?? null;
  }

  /** Counts the projected messages of a peer to an address with a higher id than `after`, in the newest 5000. */
  ofSide(address: string, peer: string, after: number, now: number): number {
    return this.#ofSide.get({ address, peer, after, now }) ?? 0;
  }

  /**
   * Counts what others sent to a room. Its newest messages are looked at one by one. If there are very many (the reader's
   * own, say, or in the background), the others are counted sender by sender, which passes over those. Each of the two ends
   * after some milliseconds, so of very many senders not all may be counted.
   */
  ofRoom(range: RoomRange): number {
    const { unread, before } = this.#newestOfRoom(range);
    const all = before === undefined ? unread : unread + this.#bySender(range, before, MAX_UNREAD - unread);
    return Math.min(all, MAX_UNREAD);
  }

  /** @returns `before`: what has a lower id was not looked at; `undefined` if that need not be */
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
      // What is not projected yet is found here alone.
      if (budget.isSpent && before <= projected + 1) return { unread, before };
    }
  }

  #bySender(range: RoomRange, before: number, most: number): number {
    const { room, reader } = range;
    const budget = readBudget();
    let unread = 0;
    let sender = this.#nextSender.get(room, '') ?? null;
    while (sender !== null && unread < most && !budget.isSpent) {
      const found = sender === reader ? undefined : this.#ofSender.get({ ...range, before, sender });
      unread += found?.unread ?? 0;
      budget.spend(1 + (found?.rows ?? 0));
      sender = this.#nextSender.get(room, sender) ?? null;
    }
    return unread;
  }
}
