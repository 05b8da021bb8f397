import type { Database, Statement } from 'better-sqlite3';
import { EVERYTHING } from '../address.ts';
import { isExpired, type Message, MESSAGE_FIELDS } from '../message.ts';
import type { Run } from './cursor.ts';
import { reading } from './reading.ts';

/** Addresses whose inboxes are read together, or `['*']` for the whole log. Each at most once. */
export type Inboxes = readonly string[];

/** Takes messages of a page in order; `false` says that there is no room for this one, and ends the page before it. */
export type Take = (message: Message) => boolean;

/** Where a page ended. */
export interface PageEnd {
  /** The highest id looked at: the next page begins after it. */
  readonly through: number;
  /** Whether there may be more up to the head. */
  readonly more: boolean;
  /** Whether there was no room for the next one, which then surely is there. */
  readonly full: boolean;
}

/** Where a page that was read back ended. */
export interface BackPage {
  /** Whether there may be more. */
  readonly more: boolean;
  /** The lowest id looked at: the next page is read before it. */
  readonly before: number;
}

/**
 * Reads the log. Every read is bounded by a head that the caller gives: what is committed but not yet dispatched is
 * seen by no one, so that streams, lists and polls agree on one order.
 *
 * Pages are small enough to stay under a few milliseconds, since they are read on the thread that serves the sockets;
 * none is held open over an await, since an open reader keeps the write-ahead log from being reset.
 *
 * All of them throw `LogUnreadable` if the disk fails.
 */
export class Store {
  readonly #database: Database;
  /** Prepared pages by number of inboxes and direction: SQLite merges the ranges of the indexes lazily, by id. */
  readonly #pages = new Map<string, Statement<[Record<string, unknown>], Message>>();
  readonly #byId: Statement<[number], Message>;
  readonly #purgedThrough: Statement<[string], number>;

  /** @param database a connection for reading */
  constructor(database: Database) {
    this.#database = database;
    this.#byId = database.prepare(`SELECT ${MESSAGE_FIELDS.join()} FROM messages WHERE id = ?`);
    this.#purgedThrough = database
      .prepare<[string], number>('SELECT through FROM purged WHERE address = ?')
      .pluck();
  }

  /** The highest id ever given. */
  head(): number {
    return reading(() => this.#database.prepare<[], number>('SELECT head FROM position').pluck().get() ?? 0);
  }

  /** The runs on record, in order. */
  runs(): Run[] {
    return reading(() =>
      this.#database.prepare<[], Run>('SELECT firstId, tag FROM runs ORDER BY firstId').all(),
    );
  }

  /** Runs a function that reads several things, all as of one moment. */
  snapshot<T>(read: () => T): T {
    return reading(() => this.#database.transaction(read)());
  }

  /** A message by its id, or `undefined` where there is none (any more). */
  message(id: number, now: number): Message | undefined {
    const message = reading(() => this.#byId.get(id));
    return message === undefined || isExpired(message, now) ? undefined : message;
  }

  /** The highest id that retention took from one of the inboxes; 0 where it took nothing. */
  purgedThrough(inboxes: Inboxes): number {
    return reading(() =>
      inboxes.reduce((through, address) => Math.max(through, this.#purgedThrough.get(address) ?? 0), 0),
    );
  }

  /**
   * Reads messages of inboxes with `after` < id ≤ `head`, the oldest first.
   *
   * @param limit at most this many are looked at
   * @param take gets each that has not expired at `now`
   */
  readAfter(inboxes: Inboxes, after: number, head: number, limit: number, now: number, take: Take): PageEnd {
    return reading(() => this.#read(inboxes, 'ASC', { after, head, limit }, now, take));
  }

  /**
   * Reads messages of inboxes with id ≤ `head`, the newest first.
   *
   * @param limit at most this many are looked at
   * @param take gets each that has not expired at `now`
   */
  readBack(inboxes: Inboxes, head: number, limit: number, now: number, take: Take): PageEnd {
    return reading(() => this.#read(inboxes, 'DESC', { after: 0, head, limit }, now, take));
  }

  #read(
    inboxes: Inboxes,
    direction: 'ASC' | 'DESC',
    range: { after: number; head: number; limit: number },
    now: number,
    take: Take,
  ): PageEnd {
    const page = this.#page(inboxes, direction);
    const values: Record<string, unknown> = { ...range, now };
    for (let index = 0; index < roundUp(inboxes.length); index++)
      values[`a${index}`] = inboxes[index] ?? inboxes[0];
    let looked = 0;
    let through = direction === 'ASC' ? range.after : range.head + 1;
    for (const message of page.iterate(values)) {
      if (!isExpired(message, now) && !take(message)) return { through, more: true, full: true };
      through = message.id;
      looked++;
    }
    return { through, more: looked === range.limit, full: false };
  }

  #page(inboxes: Inboxes, direction: 'ASC' | 'DESC'): Statement<[Record<string, unknown>], Message> {
    const everything = inboxes[0] === EVERYTHING;
    const count = roundUp(inboxes.length);
    const name = `${everything ? EVERYTHING : count} ${direction}`;
    let page = this.#pages.get(name);
    if (page === undefined) {
      const range = 'id > :after AND id <= :head';
      // UNION, unlike "recipient = ? OR sender = ?", is merged from the two indexes in id order, each id once, and
      // ends at the limit: OR sorts the whole backlog for each page.
      const ids = everything
        ? `SELECT id FROM messages WHERE ${range}`
        : Array.from({ length: count })
            .flatMap((_, index) => [
              `SELECT id FROM messages WHERE recipient = :a${index} AND ${range}`,
              `SELECT id FROM messages WHERE sender = :a${index} AND ${range}`,
            ])
            .join(' UNION ');
      // The content of what has expired is not needed, and may be long.
      const shown = "iif(messages.expiresAt <= :now, '', messages.content) AS content";
      const columns = MESSAGE_FIELDS.map((field) =>
        field === 'content' ? shown : `messages.${field}`,
      ).join();
      page = this.#database.prepare(
        `SELECT ${columns} ` +
          `FROM (${ids} ORDER BY id ${direction} LIMIT :limit) AS page ` +
          `CROSS JOIN messages ON messages.id = page.id ORDER BY page.id ${direction}`,
      );
      this.#pages.set(name, page);
    }
    return page;
  }
}

/** A power of two: so there are few statements to keep, and the places that are left take an address once more. */
function roundUp(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}
