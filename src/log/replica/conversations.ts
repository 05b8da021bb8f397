import type { Database, Statement } from 'better-sqlite3';
import { COUNTS, isExpired, type Message } from '../../message.ts';
import { type Budget, readBudget } from './budget.ts';
import type { Conversation, ConversationPage, ConversationState, RoomState } from '../conversation.ts';
import { ConversationOrder } from './conversation-order.ts';
import type { BackPage, MessageVisitor } from '../inboxes.ts';
import type { Store } from './store.ts';
import { MAX_UNREAD, Unread } from './unread.ts';

/** The maximum number of conversations that `unread` examines. */
const MAX_LOOKED_AT = 1000;

/** The cost of listing a conversation, relative to counting one row. */
const CONVERSATION_ROWS = 10;

/** The bounds of a list, besides the number of conversations. */
export interface ListBounds {
  readonly budget: Budget;
  /** Returns whether a conversation fits on the page. Called in list order. The first one is always listed. */
  fits(conversation: Conversation): boolean;
}

/** The messages of a pair that are not projected yet. */
interface LatePair {
  lastId: number;
  readonly received: number[];
}

/** A message that is not projected yet. */
interface Tail {
  id: number;
  peer: string;
  /** 1 if the peer sent it, 0 if this side did. */
  received: number;
}

/**
 * Queries about conversations. They read the projection, which the writer updates about once a second, and the tail of
 * the log that is not projected yet.
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
        `SELECT peer FROM conversations WHERE address = ? ORDER BY lastId DESC LIMIT ${MAX_LOOKED_AT}`,
      )
      .pluck();
    const ofPair = (recipient: string, sender: string, counts: number): string =>
      `SELECT id, expiresAt FROM pairMessages WHERE recipient = :${recipient} AND sender = :${sender} ` +
      `AND counts = ${counts} AND id < :before`;
    this.#pairBack = database.prepare(
      `${ofPair('a', 'b', 0)} UNION ${ofPair('a', 'b', 1)} UNION ${ofPair('b', 'a', 0)} UNION ${ofPair('b', 'a', 1)} ` +
        'ORDER BY id DESC',
    );
    this.#pairTailBack = database.prepare(
      'SELECT id, expiresAt FROM messages WHERE recipient = :a AND sender = :b AND id > :projected AND id < :before ' +
        'UNION SELECT id, expiresAt FROM messages WHERE recipient = :b AND sender = :a AND id > :projected AND id < :before ' +
        'ORDER BY id DESC',
    );
  }

  /**
   * Lists the conversations of an address in the order of the last message that each shows, the newest first.
   *
   * @param before list only conversations whose last message has a lower id
   * @param dispatched the id up to which the log is read; further if the projection is ahead of it
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
      const page = (next: number | undefined): ConversationPage => ({
        conversations,
        head,
        more: next !== undefined,
        before: next,
      });
      for (const { pair, next } of this.#order.newestFirst(address, before, now, tail)) {
        // By now, all conversations that show an id of `next` or higher are listed.
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
   * Counts the unread messages of an address, up to 1000, in its newest 1000 conversations. Does not count messages to
   * itself.
   *
   * @param dispatched as in `list`
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
   * Counts the messages in a room with id > `after` that the reader did not send. Counts up to 1000, for a few
   * milliseconds.
   */
  unreadOfRoom(reader: string, room: string, after: number, head: number, now: number): number {
    return this.#store.snapshot(() => this.#unread.ofRoom({ reader, room, after, head, now }));
  }

  /**
   * Returns the state of a conversation, even if it has no messages.
   *
   * @param dispatched as in `list`
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
   * Returns the state of a room for a follower. Spends a few milliseconds each on finding the last message and counting
   * unread ones.
   *
   * @param dispatched as in `list`
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

  /** Returns the newest message of an inbox that counts; `null` if none is found within the time of a read. */
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

  /** Returns the ids up to which the log is projected and is read. */
  #range(dispatched: number): { projected: number; head: number } {
    const projected = this.#projected.get() ?? 0;
    return { projected, head: Math.max(dispatched, projected) };
  }

  /**
   * Reads the messages between two addresses with id < `before`, the newest first.
   *
   * @param head the id up to which the log is read
   * @param visit called with each message that has not expired at `now`
   * @param budget as in `Store.readBack`
   */
  readBack(
    pair: readonly [string, string],
    before: number,
    head: number,
    now: number,
    visit: MessageVisitor,
    budget?: Budget,
  ): BackPage {
    return this.#store.snapshot(() => {
      const projected = this.#projected.get() ?? 0;
      const start = Math.min(before, head + 1);
      const range = { a: pair[0], b: pair[1], before: start, projected };
      let from = start;
      for (const statement of [this.#pairTailBack, this.#pairBack]) {
        for (const one of statement.iterate(range)) {
          if (from < start && budget?.isSpent === true) return { more: true, before: from };
          const message = isExpired(one, now) ? undefined : this.#store.message(one.id, now);
          if (message !== undefined && !visit(message)) return { more: true, before: from };
          from = one.id;
          budget?.spend(1);
        }
      }
      return { more: false, before: from };
    });
  }

  /** Returns the messages of an address that are not projected yet, by peer. */
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
