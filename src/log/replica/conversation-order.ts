import type { Database, Statement } from 'better-sqlite3';
import { isExpired } from '../../message.ts';
import { MAX_OF_SIDE } from './unread.ts';

/** A peer of the queried address, and the newest message between the two that can be shown. */
export interface Pair {
  readonly peer: string;
  readonly lastId: number;
}

/** A projected pair. */
interface ListedPair extends Pair {
  /** The expiry of its last message. */
  readonly expiresAt: number | null;
}

/** The number of conversations read at once. */
const CHUNK = 100;

/**
 * The maximum number of conversations examined in advance because their last message has expired but is not purged yet.
 */
const MAX_EXPIRED = 500;

/** The display order of conversations. Expired messages are not shown, even before they are purged. */
export class ConversationOrder {
  readonly #listed: Statement<[string, number, number], ListedPair>;
  readonly #expired: Statement<[string, number, number], Pair>;
  readonly #newestOfSide: Statement<[Record<string, unknown>], number>;

  /** @param database a connection for reading */
  constructor(database: Database) {
    this.#listed = database.prepare(
      'SELECT peer, lastId, expiresAt FROM conversations ' +
        'WHERE address = ? AND lastId < ? ORDER BY lastId DESC LIMIT ?',
    );
    this.#expired = database.prepare(
      'SELECT peer, lastId FROM conversations WHERE address = ? AND expiresAt <= ? ORDER BY expiresAt DESC LIMIT ?',
    );
    // Skipping expired messages in SQLite costs a tenth of skipping them here.
    this.#newestOfSide = database
      .prepare<[Record<string, unknown>], number>(
        'SELECT id FROM (SELECT id, expiresAt FROM pairMessages ' +
          'WHERE recipient = :recipient AND sender = :sender AND counts = 1 AND id < :before ' +
          `ORDER BY id DESC LIMIT ${MAX_OF_SIDE}) WHERE expiresAt IS NULL OR expiresAt > :now ` +
          'ORDER BY id DESC LIMIT 1',
      )
      .pluck();
  }

  /**
   * Yields the pairs of an address in the order of the newest message that each can show, the newest first, with ids
   * below `before`.
   *
   * @param tail the last message of each pair that has messages not projected yet, by peer
   * @returns yields a pair, or `undefined` if one was skipped, and `next`: all pairs that show this id or a higher one
   *   have been yielded
   */
  *newestFirst(
    address: string,
    before: number,
    now: number,
    tail: ReadonlyMap<string, { readonly lastId: number }>,
  ): Generator<{ pair: Pair | undefined; next: number }> {
    // Pairs that show a different message from the one they are listed by.
    const waiting = new WaitingPairs();
    for (const [peer, { lastId }] of tail) if (lastId < before) waiting.add({ peer, lastId });
    for (const { peer, lastId } of this.#expired.all(address, now, MAX_EXPIRED)) {
      if (lastId < before || tail.has(peer)) continue;
      const shown = this.#shown(address, { peer, lastId }, now);
      if (shown.lastId < before) waiting.add(shown);
    }
    let from = before;
    for (let more = true; more;) {
      const chunk = this.#listed.all(address, from, CHUNK);
      for (const listed of chunk) {
        from = listed.lastId;
        for (const pair of waiting.takeAbove(from)) yield { pair, next: pair.lastId + 1 };
        const isLate = tail.has(listed.peer);
        const isShown = !isLate && !isExpired(listed, now);
        yield { pair: isShown ? listed : undefined, next: from + 1 };
        if (!isShown && !isLate) waiting.add(this.#shown(address, listed, now));
      }
      more = chunk.length === CHUNK;
    }
    for (const pair of waiting.takeAbove(0)) yield { pair, next: pair.lastId + 1 };
  }

  /** Returns the id of the newest projected message of a pair that can be shown; 0 if there is none. */
  newestOf(address: string, peer: string, now: number): number {
    return this.#shown(address, { peer, lastId: Infinity }, now).lastId;
  }

  /** Returns a pair with the message that it shows in place of its expired last one; `lastId` is 0 if there is none. */
  #shown(address: string, { peer, lastId }: Pair, now: number): Pair {
    const ofSide = (recipient: string, sender: string): number =>
      this.#newestOfSide.get({ recipient, sender, before: lastId, now }) ?? 0;
    return { peer, lastId: Math.max(ofSide(address, peer), ofSide(peer, address)) };
  }
}

/** Pairs that come later in the order. */
class WaitingPairs {
  /** Sorted by `lastId`, the newest at the end. */
  readonly #pairs: Pair[] = [];

  /** Adds a pair. Does nothing if the pair has nothing to show. */
  add(pair: Pair): void {
    if (pair.lastId === 0) return;
    const index = this.#pairs.findLastIndex(({ lastId }) => lastId < pair.lastId) + 1;
    this.#pairs.splice(index, 0, pair);
  }

  /** Removes and yields the pairs that show a higher id, the newest first. */
  *takeAbove(id: number): Generator<Pair> {
    for (let pair = this.#pairs.at(-1); pair !== undefined && pair.lastId > id; pair = this.#pairs.at(-1)) {
      this.#pairs.pop();
      yield pair;
    }
  }
}
