import type { Database, Statement } from 'better-sqlite3';
import { isExpired } from '../message.ts';
import { MAX_OF_SIDE } from './unread.ts';

/** A pair of the address that is asked for, and the newest message of it that can be shown. */
export interface Pair {
  readonly peer: string;
  readonly lastId: number;
}

/** A pair as it is projected. */
interface ListedPair extends Pair {
  /** When its last message expires. */
  readonly expiresAt: number | null;
}

/** Conversations that are read at once. */
const CHUNK = 100;

/** So many conversations whose last message has expired, and is not purged yet, are looked at in advance. */
const MOST_EXPIRED = 500;

/** Finds the order in which conversations are shown: a message that has expired is not shown, and may not be purged yet. */
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
    // Passed over by SQLite, what has expired costs a tenth of what it would here.
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
   * Returns the pairs of an address by the newest message that can be shown, as far as that is below `before`, the newest
   * first.
   *
   * @param tail the last messages of pairs that are not projected yet
   * @returns with each step a pair, or none if one was passed over, and `next`: all pairs of this id or a higher one came
   *   before
   */
  *newestFirst(
    address: string,
    before: number,
    now: number,
    tail: ReadonlyMap<string, { readonly lastId: number }>,
  ): Generator<{ pair: Pair | undefined; next: number }> {
    // Pairs that are not listed under what they show.
    const waiting = new WaitingPairs();
    for (const [peer, { lastId }] of tail) if (lastId < before) waiting.add({ peer, lastId });
    for (const { peer, lastId } of this.#expired.all(address, now, MOST_EXPIRED)) {
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

  /** Returns the newest projected message of one pair that can be shown; 0 if there is none. */
  newestOf(address: string, peer: string, now: number): number {
    return this.#shown(address, { peer, lastId: Infinity }, now).lastId;
  }

  /** A pair with what is shown in the place of its last message, which has expired; `lastId` 0 if there is nothing. */
  #shown(address: string, { peer, lastId }: Pair, now: number): Pair {
    const ofSide = (recipient: string, sender: string): number =>
      this.#newestOfSide.get({ recipient, sender, before: lastId, now }) ?? 0;
    return { peer, lastId: Math.max(ofSide(address, peer), ofSide(peer, address)) };
  }
}

/** Pairs that come later in the order. */
class WaitingPairs {
  /** The newest at the end. */
  readonly #pairs: Pair[] = [];

  /** Adds a pair. Nothing is done if there is nothing to show of it. */
  add(pair: Pair): void {
    if (pair.lastId === 0) return;
    const place = this.#pairs.findLastIndex(({ lastId }) => lastId < pair.lastId) + 1;
    this.#pairs.splice(place, 0, pair);
  }

  /** Takes out those that show a message with a higher id, the newest first. */
  *takeAbove(id: number): Generator<Pair> {
    for (let pair = this.#pairs.at(-1); pair !== undefined && pair.lastId > id; pair = this.#pairs.at(-1)) {
      this.#pairs.pop();
      yield pair;
    }
  }
}
