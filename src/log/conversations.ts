import type { Database, Statement } from 'better-sqlite3';
import { COUNTS, isExpired, type Message } from '../message.ts';
import { type Budget, readBudget } from './budget.ts';
import type { Conversation, ConversationPage, ConversationState, RoomState } from './conversation.ts';
import { ConversationOrder } from './conversation-order.ts';
import type { BackPage, Store, Take } from './store.ts';
import { MAX_UNREAD, Unread } from './unread.ts';

/** So many conversations are looked at for what is unread in all. */
const MOST_LOOKED_AT = 1000;

/** A conversation in a list costs as much as so many rows that are only counted. */
const CONVERSATION_ROWS = 10;

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
  readonly #unread: Unread;
  readonly #peers: Statement<[string], string>;
  readonly #pairBack: Statement<[Record<string, unknown>], { id: number; expiresAt: number | null }>;
  readonly #pairTailBack: Statement<[Record<string, unknown>], { id: number; expiresAt: number | null }>;

  /** @param database the connection of `store` */
  constructor(database: Database, store: Store) {
    this.#store = store;
    const unexpired = '(expiresAt IS NULL OR expiresAt > :now)';
    this.#projected = database.prepare<[], number>('SELECT projected FROM position').pluck();
    this.#tail = database.prepare(
      'SELECT id, sender AS peer, 1 AS received FROM messages ' +
        `WHERE recipient = :address AND id > :projected AND id <= :head AND ${COUNTS} AND ${unexpired} ` +
        'UNION ALL ' +
        'SELECT id, recipient, 0 FROM messages ' +
        `WHERE sender = :address AND id > :projected AND id <= :head AND ${COUNTS} AND ${unexpired}`,
    );
    this.#order = new ConversationOrder(database);
    this.#unread = new Unread(database);
    this.#peers = database
      .prepare<[string], string>(
        `SELECT peer FROM conversations WHERE address = ? ORDER BY lastId DESC LIMIT ${MOST_LOOKED_AT}`,
      )
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
      const { projected, head } = this.#range(dispatched);
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
        const { peer, lastId } = pair;
        const lastMessage = this.#store.message(lastId, now);
        if (lastMessage === undefined) continue;
        const conversation = this.#conversation(address, peer, lastMessage, tail.get(peer), now);
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
      const { projected, head } = this.#range(dispatched);
      let unread = 0;
      for (const { id, peer, received } of this.#tail.iterate({ address, projected, head, now })) {
        if (received === 1 && peer !== address && id > (this.#unread.readThrough(address, peer) ?? 0))
          unread++;
        if (unread >= MAX_UNREAD) return MAX_UNREAD;
      }
      for (const peer of this.#peers.all(address)) {
        if (unread >= MAX_UNREAD) break;
        const after = this.#unread.readThrough(address, peer) ?? 0;
        if (peer !== address) unread += this.#unread.ofSide(address, peer, after, now);
      }
      return Math.min(unread, MAX_UNREAD);
    });
  }

  /**
   * Counts what others than the reader sent to a room with a higher id than `after`: to 1000 and no further, for some
   * milliseconds.
   */
  unreadOfRoom(reader: string, room: string, after: number, head: number, now: number): number {
    return this.#store.snapshot(() => this.#unread.ofRoom({ reader, room, after, head, now }));
  }

  /**
   * Tells how one pair stands, also if there is no message of it.
   *
   * @param dispatched as `list` has it
   */
  ofPair(address: string, peer: string, dispatched: number, now: number): ConversationState<Conversation> {
    return this.#store.snapshot(() => {
      const { projected, head } = this.#range(dispatched);
      const late = this.#latePairs(address, projected, head, now).get(peer);
      const lastId = late?.lastId ?? this.#order.newestOf(address, peer, now);
      const lastMessage = this.#store.message(lastId, now) ?? null;
      return { state: this.#conversation(address, peer, lastMessage, late, now), head };
    });
  }

  /**
   * Tells how a room stands for one who follows it. Its last message is looked for, and the unread ones are counted, for
   * some milliseconds.
   *
   * @param dispatched as `list` has it
   */
  ofRoom(reader: string, room: string, dispatched: number, now: number): ConversationState<RoomState> {
    return this.#store.snapshot(() => {
      const { projected, head } = this.#range(dispatched);
      const lastMessage = this.#newest(room, projected, head, now);
      const readThrough = this.#unread.readThrough(reader, room);
      const unread = this.#unread.ofRoom({ room, reader, after: readThrough ?? 0, head, now });
      return { state: { room, lastMessage, unread, readThrough }, head };
    });
  }

  /** The newest message of an inbox that counts, looked for as long as a read may take; `null` if none is found. */
  #newest(address: string, projected: number, head: number, now: number): Message | null {
    const budget = readBudget();
    const tail = this.#latePairs(address, projected, head, now);
    for (const { pair } of this.#order.newestFirst(address, Infinity, now, tail)) {
      const message = pair === undefined ? undefined : this.#store.message(pair.lastId, now);
      if (message !== undefined) return message;
      budget.spend(CONVERSATION_ROWS);
      if (budget.isSpent) break;
    }
    return null;
  }

  /** @returns through which id the log is projected, and through which it is read */
  #range(dispatched: number): { projected: number; head: number } {
    const projected = this.#projected.get() ?? 0;
    return { projected, head: Math.max(dispatched, projected) };
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
    peer: string,
    lastMessage: Message | null,
    late: LatePair | undefined,
    now: number,
  ): Conversation {
    const readThrough = this.#unread.readThrough(address, peer);
    const after = readThrough ?? 0;
    const lateUnread = late?.received.filter((id) => id > after).length ?? 0;
    const unread = lateUnread + this.#unread.ofSide(address, peer, after, now);
    return {
      peer,
      lastMessage,
      unread: Math.min(unread, MAX_UNREAD),
      readThrough,
      peerReadThrough: this.#unread.readThrough(peer, address),
    };
  }
}
