import type { Database, Statement } from 'better-sqlite3';
import { EVERYTHING } from '../../address.ts';
import { isExpired, type Message, MESSAGE_COLUMNS } from '../../message.ts';
import type { Epoch } from '../cursor.ts';
import type { Position } from '../entry.ts';
import type { BackPage, Inboxes, MessageVisitor, PageEnd } from '../inboxes.ts';
import type { Retention } from '../retention.ts';
import type { Budget } from './budget.ts';
import { reading } from './reading.ts';

/** SQLite takes a negative limit as no limit. */
const UNLIMITED = -1;

/**
 * Reads the log. Each read ends at a head given by the caller, so that nobody sees messages that are committed but not
 * yet delivered, and streams, lists and polls agree on one order.
 *
 * Pages must take only a few milliseconds, since they are read on the thread that serves the sockets. No read stays
 * open across an await, since an open reader keeps the write-ahead log from being reset.
 *
 * All methods throw `LogUnreadable` if the disk fails.
 */
export class Store {
  readonly #database: Database;
  /**
   * Prepared page queries, by number of inboxes and direction. SQLite merges the ranges of the indexes lazily, by id.
   */
  readonly #pages = new Map<string, Statement<[Record<string, unknown>], Message>>();
  readonly #byId: Statement<[number], Message>;
  readonly #purgedThrough: Statement<[string], number>;

  /** @param database a connection for reading */
  constructor(database: Database) {
    this.#database = database;
    this.#byId = database.prepare(`SELECT ${MESSAGE_COLUMNS.join()} FROM messages WHERE id = ?`);
    this.#purgedThrough = database
      .prepare<[string], number>('SELECT through FROM purged WHERE address = ?')
      .pluck();
  }

  /** Returns the highest id ever assigned. */
  head(): number {
    return reading(() => this.#database.prepare<[], number>('SELECT head FROM position').pluck().get() ?? 0);
  }

  /** Returns the position of this replica in the order. */
  position(): Position {
    return reading(
      () =>
        this.#database
          .prepare<[], Position>('SELECT logId, sequence, generation, mark, logTime FROM position')
          .get() as Position,
    );
  }

  /** Returns the stored epochs, in order. */
  epochs(): Epoch[] {
    return reading(() =>
      this.#database.prepare<[], Epoch>('SELECT firstId, epoch FROM epochs ORDER BY firstId').all(),
    );
  }

  /** Returns the stored retention; `undefined` if there is none yet. */
  retention(): Retention | undefined {
    const value = reading(() =>
      this.#database.prepare<[], string>("SELECT value FROM settings WHERE name = 'retention'").pluck().get(),
    );
    return value === undefined ? undefined : (JSON.parse(value) as Retention);
  }

  /** Runs a function whose reads all see the same snapshot. */
  snapshot<T>(read: () => T): T {
    return reading(() => this.#database.transaction(read)());
  }

  /** Returns a message by its id; `undefined` if it does not exist or has expired. */
  message(id: number, now: number): Message | undefined {
    const message = reading(() => this.#byId.get(id));
    return message === undefined || isExpired(message, now) ? undefined : message;
  }

  /** Returns the highest id that retention has removed from one of the inboxes; 0 if it has removed nothing. */
  purgedThrough(inboxes: Inboxes): number {
    return reading(() =>
      inboxes.reduce((through, address) => Math.max(through, this.#purgedThrough.get(address) ?? 0), 0),
    );
  }

  /**
   * Reads messages of inboxes with `after` < id ≤ `head`, the oldest first.
   *
   * @param limit the maximum number of messages to examine
   * @param visit called with each message that has not expired at `now`
   */
  readAfter(
    inboxes: Inboxes,
    after: number,
    head: number,
    limit: number,
    now: number,
    visit: MessageVisitor,
  ): PageEnd {
    return reading(() => {
      let looked = 0;
      let through = after;
      for (const message of this.#messages(inboxes, 'ASC', { after, head, limit, now })) {
        if (!isExpired(message, now) && !visit(message)) return { through, more: true, full: true };
        through = message.id;
        looked++;
      }
      return { through, more: looked === limit, full: false };
    });
  }

  /**
   * Reads messages of inboxes with id ≤ `head`, the newest first, until `visit` ends the page, the budget is spent, or
   * none are left.
   *
   * @param visit called with each message that has not expired at `now`
   * @param budget bounds the read, since very many messages may have expired. At least one is read
   */
  readBack(inboxes: Inboxes, head: number, now: number, visit: MessageVisitor, budget: Budget): BackPage {
    return reading(() => {
      let before = head + 1;
      // One statement reads the whole page: with a hundred inboxes, starting another costs as much as reading 500
      // messages.
      for (const message of this.#messages(inboxes, 'DESC', { after: 0, head, limit: UNLIMITED, now })) {
        if (before <= head && budget.isSpent) return { more: true, before };
        if (!isExpired(message, now) && !visit(message)) return { more: true, before };
        before = message.id;
        budget.spend(1);
      }
      return { more: false, before };
    });
  }

  /** Returns the messages of inboxes in a range of ids, read lazily during the iteration. */
  #messages(
    inboxes: Inboxes,
    direction: 'ASC' | 'DESC',
    range: { after: number; head: number; limit: number; now: number },
  ): IterableIterator<Message> {
    const values: Record<string, unknown> = { ...range };
    // Unused placeholders are NULL, which equals nothing. Repeating an address instead would merge its messages again.
    for (let index = 0; index < roundUp(inboxes.length); index++)
      values[`a${index}`] = inboxes[index] ?? null;
    return this.#page(inboxes, direction).iterate(values);
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
      // The content of an expired message is not needed, and may be long.
      const shown = "iif(messages.expiresAt <= :now, '', messages.content) AS content";
      const columns = MESSAGE_COLUMNS.map((column) =>
        column === 'content' ? shown : `messages.${column}`,
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

/** Rounds up to a power of two, so that there are few statements to keep. */
function roundUp(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}
