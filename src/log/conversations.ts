import type { Database, Statement } from 'better-sqlite3';
import { type Message, MESSAGE_TYPE } from '../message.ts';
import type { Store, Take } from './store.ts';

/** A pair of addresses, seen from one of them. */
export interface Conversation {
  readonly peer: string;
  readonly lastMessage: Message;
  /** How many messages of the peer come after `readThrough`; counted to 1000 at the most. */
  readonly unread: number;
  /** Through which id this side has read, and the peer; `null` where it never said. */
  readonly readThrough: number | null;
  readonly peerReadThrough: number | null;
}

/** What is unread is counted so far, and no further. */
export const MOST_UNREAD = 1000;

/** So many conversations are looked at for what is unread in all. */
const MOST_LOOKED_AT = 1000;

/** A message that is not projected yet. */
interface Tail {
  id: number;
  peer: string;
  /** 1 where the peer sent it, 0 where this side did. */
  received: number;
}

/**
 * What is asked of pairs of addresses. Read from the projection, which the writer brings up to date about once a
 * second, and from the tail of the log that is not projected yet.
 */
export class Conversations {
  readonly #store: Store;
  readonly #projected: Statement<[], number>;
  readonly #tail: Statement<[Record<string, unknown>], Tail>;
  readonly #listed: Statement<[string, number, number], { peer: string; lastId: number }>;
  readonly #lastBefore: Statement<[Record<string, unknown>], number | null>;
  readonly #unread: Statement<[Record<string, unknown>], number>;
  readonly #readThrough: Statement<[string, string], number>;
  readonly #pairBack: Statement<[Record<string, unknown>], { id: number }>;
  readonly #pairTailBack: Statement<[Record<string, unknown>], { id: number }>;

  /** @param database the connection of `store` */
  constructor(database: Database, store: Store) {
    this.#store = store;
    const unexpired = '(expiresAt IS NULL OR expiresAt > :now)';
    this.#projected = database.prepare<[], number>('SELECT projected FROM position').pluck();
    this.#tail = database.prepare(
      'SELECT id, sender AS peer, 1 AS received FROM messages ' +
        `WHERE recipient = :address AND id > :projected AND id <= :head AND type = '${MESSAGE_TYPE}' AND ${unexpired} ` +
        'UNION ALL ' +
        'SELECT id, recipient, 0 FROM messages ' +
        `WHERE sender = :address AND id > :projected AND id <= :head AND type = '${MESSAGE_TYPE}' AND ${unexpired}`,
    );
    this.#listed = database.prepare(
      'SELECT peer, lastId FROM conversations WHERE address = ? AND lastId < ? ORDER BY lastId DESC LIMIT ?',
    );
    const lastOfSide = (recipient: string, sender: string): string =>
      `(SELECT max(id) FROM pairMessages WHERE recipient = :${recipient} AND sender = :${sender} ` +
      `AND id < :before AND counts = 1 AND ${unexpired})`;
    this.#lastBefore = database
      .prepare<[Record<string, unknown>], number | null>(
        `SELECT max(ifnull(${lastOfSide('address', 'peer')}, 0), ifnull(${lastOfSide('peer', 'address')}, 0))`,
      )
      .pluck();
    this.#unread = database
      .prepare<[Record<string, unknown>], number>(
        'SELECT count(*) FROM (SELECT 1 FROM pairMessages WHERE recipient = :address AND sender = :peer ' +
          `AND id > :after AND counts = 1 AND ${unexpired} LIMIT ${MOST_UNREAD})`,
      )
      .pluck();
    this.#readThrough = database
      .prepare<[string, string], number>('SELECT messageId FROM readMarkers WHERE reader = ? AND peer = ?')
      .pluck();
    const ofPair = (recipient: string, sender: string, counts: number): string =>
      `SELECT id FROM pairMessages WHERE recipient = :${recipient} AND sender = :${sender} ` +
      `AND counts = ${counts} AND id < :before`;
    this.#pairBack = database.prepare(
      `${ofPair('a', 'b', 0)} UNION ${ofPair('a', 'b', 1)} UNION ${ofPair('b', 'a', 0)} UNION ${ofPair('b', 'a', 1)} ` +
        'ORDER BY id DESC LIMIT :limit',
    );
    this.#pairTailBack = database.prepare(
      'SELECT id FROM messages WHERE recipient = :a AND sender = :b AND id > :projected AND id < :before ' +
        'UNION SELECT id FROM messages WHERE recipient = :b AND sender = :a AND id > :projected AND id < :before ' +
        'ORDER BY id DESC LIMIT :limit',
    );
  }

  /**
   * Lists the conversations of an address, newest first.
   *
   * @param before only those whose last message has a lower id
   * @param dispatched the log is read through this id, or further where the projection is ahead of the dispatch
   * @returns `head`: the id that the log was read through
   */
  list(
    address: string,
    before: number,
    dispatched: number,
    limit: number,
    now: number,
  ): { conversations: Conversation[]; head: number; more: boolean } {
    return this.#store.snapshot(() => {
      const projected = this.#projected.get() ?? 0;
      const head = Math.max(dispatched, projected);
      const tail = new Map<string, { lastId: number; received: number[] }>();
      for (const { id, peer, received } of this.#tail.iterate({ address, projected, head, now })) {
        const pair = tail.get(peer) ?? { lastId: 0, received: [] };
        pair.lastId = Math.max(pair.lastId, id);
        if (received === 1) pair.received.push(id);
        tail.set(peer, pair);
      }
      const conversations: Conversation[] = [];
      for (const { peer, lastId } of this.#newestFirst(address, before, limit, tail)) {
        const lastMessage = this.#lastMessage(address, peer, lastId, now);
        if (lastMessage === undefined) continue;
        if (conversations.length === limit) return { conversations, head, more: true };
        const readThrough = this.#readThrough.get(address, peer) ?? null;
        const after = readThrough ?? 0;
        const late = tail.get(peer)?.received.filter((id) => id > after).length ?? 0;
        const early = this.#unread.get({ address, peer, after, now }) ?? 0;
        conversations.push({
          peer,
          lastMessage,
          unread: Math.min(early + late, MOST_UNREAD),
          readThrough,
          peerReadThrough: this.#readThrough.get(peer, address) ?? null,
        });
      }
      return { conversations, head, more: false };
    });
  }

  /**
   * Counts what an address has received and not read: in its newest 1000 conversations, to 1000 and no further. What
   * it sent to itself is not counted.
   *
   * @param dispatched as `list` has it
   */
  unread(address: string, dispatched: number, now: number): number {
    return this.#store.snapshot(() => {
      const projected = this.#projected.get() ?? 0;
      const head = Math.max(dispatched, projected);
      let unread = 0;
      for (const { id, peer, received } of this.#tail.iterate({ address, projected, head, now })) {
        if (received === 1 && peer !== address && id > (this.#readThrough.get(address, peer) ?? 0)) unread++;
      }
      for (const { peer } of this.#listed.all(address, Infinity, MOST_LOOKED_AT)) {
        if (unread >= MOST_UNREAD) break;
        const after = this.#readThrough.get(address, peer) ?? 0;
        if (peer !== address) unread += this.#unread.get({ address, peer, after, now }) ?? 0;
      }
      return Math.min(unread, MOST_UNREAD);
    });
  }

  /**
   * Reads what two addresses sent to each other, with id < `before`, the newest first.
   *
   * @param head the log is read through this id
   * @param take gets each message that has not expired at `now`
   * @returns whether there may be more
   */
  readBack(
    pair: readonly [string, string],
    before: number,
    head: number,
    limit: number,
    now: number,
    take: Take,
  ): boolean {
    return this.#store.snapshot(() => {
      const projected = this.#projected.get() ?? 0;
      let from = Math.min(before, head + 1);
      // On past what has expired: a reader that gets nothing could not tell where to go on.
      for (;;) {
        const range = { a: pair[0], b: pair[1], before: from, projected, limit };
        const late = this.#pairTailBack.all(range);
        const ids = [...late, ...this.#pairBack.all({ ...range, limit: limit - late.length })];
        for (const { id } of ids) {
          const message = this.#store.message(id, now);
          if (message !== undefined && !take(message)) return true;
          from = id;
        }
        if (ids.length < limit) return false;
      }
    });
  }

  /** The pairs of an address with their newest message below `before`, those of the tail among them. */
  *#newestFirst(
    address: string,
    before: number,
    limit: number,
    tail: ReadonlyMap<string, { lastId: number }>,
  ): Generator<{ peer: string; lastId: number }> {
    const late = [...tail]
      .map(([peer, { lastId }]) => ({ peer, lastId }))
      .filter(({ lastId }) => lastId < before)
      .sort((one, other) => one.lastId - other.lastId);
    const step = limit + 1;
    for (let from = before, more = true; more;) {
      const chunk = this.#listed.all(address, from, step);
      for (const pair of chunk) {
        while ((late.at(-1)?.lastId ?? 0) > pair.lastId) yield late.pop() as { peer: string; lastId: number };
        if (!tail.has(pair.peer)) yield pair;
        from = pair.lastId;
      }
      more = chunk.length === step;
    }
    yield* late.reverse();
  }

  /** The newest message of a pair; one before it where that has expired and its purge is due. */
  #lastMessage(address: string, peer: string, lastId: number, now: number): Message | undefined {
    const last = this.#store.message(lastId, now);
    if (last !== undefined) return last;
    const before = this.#lastBefore.get({ address, peer, before: lastId, now }) ?? 0;
    return this.#store.message(before, now);
  }
}
