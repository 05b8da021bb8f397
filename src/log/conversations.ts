import type { Database, Statement } from 'better-sqlite3';
import { isExpired, type Message, MESSAGE_TYPE } from '../message.ts';
import type { Budget } from './budget.ts';
import { ConversationOrder, MOST_OF_SIDE, type Pair } from './conversation-order.ts';
import type { BackPage, Store, Take } from './store.ts';

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

/** A conversation in a list costs as much as so many rows that are only counted. */
const CONVERSATION_ROWS = 10;

/** Conversations in a list, and where it goes on. */
export interface ConversationPage {
  readonly conversations: Conversation[];
  /** The id that the log was read through. */
  readonly head: number;
  readonly more: boolean;
  /** The next page has those whose last message has a lower id than this; `undefined` if there is none. */
  readonly before: number | undefined;
}

/** The bounds of a list beside its number of conversations. */
export interface ListBounds {
  readonly budget: Budget;
  /** Whether there is room for a conversation; asked in order. The first one is listed in any case. */
  fits(conversation: Conversation): boolean;
}

/** What is not projected yet of a pair. */
interface LatePair {
  lastId: number;
  readonly received: number[];
}

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
  readonly #order: ConversationOrder;
  readonly #peers: Statement<[string], string>;
  readonly #unread: Statement<[Record<string, unknown>], number>;
  readonly #readThrough: Statement<[string, string], number>;
  readonly #pairBack: Statement<[Record<string, unknown>], { id: number; expiresAt: number | null }>;
  readonly #pairTailBack: Statement<[Record<string, unknown>], { id: number; expiresAt: number | null }>;

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
    this.#order = new ConversationOrder(database);
    this.#peers = database
      .prepare<[string], string>(
        `SELECT peer FROM conversations WHERE address = ? ORDER BY lastId DESC LIMIT ${MOST_LOOKED_AT}`,
      )
      .pluck();
    this.#unread = database
      .prepare<[Record<string, unknown>], number>(
        'SELECT count(*) FROM (SELECT 1 FROM (SELECT expiresAt FROM pairMessages ' +
          'WHERE recipient = :address AND sender = :peer AND counts = 1 AND id > :after ' +
          `LIMIT ${MOST_OF_SIDE}) WHERE ${unexpired} LIMIT ${MOST_UNREAD})`,
      )
      .pluck();
    this.#readThrough = database
      .prepare<[string, string], number>('SELECT messageId FROM readMarkers WHERE reader = ? AND peer = ?')
      .pluck();
    const ofPair = (recipient: string, sender: string, counts: number): string =>
      `SELECT id, expiresAt FROM pairMessages WHERE recipient = :${recipient} AND sender = :${sender} ` +
      `AND counts = ${counts} AND id < :before`;
    this.#pairBack = database.prepare(
      `${ofPair('a', 'b', 0)} UNION ${ofPair('a', 'b', 1)} UNION ${ofPair('b', 'a', 0)} UNION ${ofPair('b', 'a', 1)} ` +
        'ORDER BY id DESC LIMIT :limit',
    );
    this.#pairTailBack = database.prepare(
      'SELECT id, expiresAt FROM messages WHERE recipient = :a AND sender = :b AND id > :projected AND id < :before ' +
        'UNION SELECT id, expiresAt FROM messages WHERE recipient = :b AND sender = :a AND id > :projected AND id < :before ' +
        'ORDER BY id DESC LIMIT :limit',
    );
  }

  /**
   * Lists the conversations of an address in the order of the messages that are shown as their last, newest first.
   *
   * @param before only those whose last message has a lower id
   * @param dispatched the log is read through this id, or further if the projection is ahead of the dispatch
   */
  list(
    address: string,
    before: number,
    dispatched: number,
    limit: number,
    now: number,
    bounds?: ListBounds,
  ): ConversationPage {
    return this.#store.snapshot(() => {
      const projected = this.#projected.get() ?? 0;
      const head = Math.max(dispatched, projected);
      const tail = this.#latePairs(address, projected, head, now);
      const conversations: Conversation[] = [];
      const page = (goOn: number | undefined): ConversationPage => ({
        conversations,
        head,
        more: goOn !== undefined,
        before: goOn,
      });
      for (const { pair, next } of this.#order.newestFirst(address, before, now, tail)) {
        // All that can be shown with an id of `next` or higher is in the list by now.
        if (next < before && bounds?.budget.isSpent === true) return page(next);
        bounds?.budget.spend(CONVERSATION_ROWS);
        if (pair === undefined) continue;
        const conversation = this.#conversation(address, pair, tail.get(pair.peer), now);
        if (conversation === undefined) continue;
        if (conversations.length === limit) return page(next);
        if (bounds?.fits(conversation) === false && conversations.length > 0) return page(next);
        conversations.push(conversation);
        bounds?.budget.spend(conversation.unread);
      }
      return page(undefined);
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
        if (unread >= MOST_UNREAD) return MOST_UNREAD;
      }
      for (const peer of this.#peers.all(address)) {
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
   * @param limit at most this many are looked at at once
   * @param take gets each message that has not expired at `now`
   * @param budget bounds how much that has expired is passed over
   */
  readBack(
    pair: readonly [string, string],
    before: number,
    head: number,
    limit: number,
    now: number,
    take: Take,
    budget?: Budget,
  ): BackPage {
    return this.#store.snapshot(() => {
      const projected = this.#projected.get() ?? 0;
      let from = Math.min(before, head + 1);
      for (;;) {
        const range = { a: pair[0], b: pair[1], before: from, projected, limit };
        const late = this.#pairTailBack.all(range);
        const found = [...late, ...this.#pairBack.all({ ...range, limit: limit - late.length })];
        for (const one of found) {
          const message = isExpired(one, now) ? undefined : this.#store.message(one.id, now);
          if (message !== undefined && !take(message)) return { more: true, before: from };
          from = one.id;
        }
        budget?.spend(found.length);
        if (found.length < limit) return { more: false, before: from };
        if (budget?.isSpent === true) return { more: true, before: from };
      }
    });
  }

  /** What is not projected yet of the pairs of an address. */
  #latePairs(address: string, projected: number, head: number, now: number): Map<string, LatePair> {
    const tail = new Map<string, LatePair>();
    for (const { id, peer, received } of this.#tail.iterate({ address, projected, head, now })) {
      const pair = tail.get(peer) ?? { lastId: 0, received: [] };
      pair.lastId = Math.max(pair.lastId, id);
      if (received === 1) pair.received.push(id);
      tail.set(peer, pair);
    }
    return tail;
  }

  #conversation(
    address: string,
    { peer, lastId }: Pair,
    late: LatePair | undefined,
    now: number,
  ): Conversation | undefined {
    const lastMessage = this.#store.message(lastId, now);
    if (lastMessage === undefined) return undefined;
    const readThrough = this.#readThrough.get(address, peer) ?? null;
    const after = readThrough ?? 0;
    const lateUnread = late?.received.filter((id) => id > after).length ?? 0;
    const unread = lateUnread + (this.#unread.get({ address, peer, after, now }) ?? 0);
    return {
      peer,
      lastMessage,
      unread: Math.min(unread, MOST_UNREAD),
      readThrough,
      peerReadThrough: this.#readThrough.get(peer, address) ?? null,
    };
  }
}
