import { randomBytes } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import type { Outcome, Purge, PurgeEntry, PurgeOutcome, TickEntry } from '../entry.ts';
import { preparePurge } from './purge.ts';

/** The maximum number of purges in one entry. */
const MAX_PURGES = 100;

/** An entry that upkeep proposes. */
export type UpkeepEntry = PurgeEntry | TickEntry;

/** Thrown in a transaction to undo it. */
class Undo extends Error {}

/** The purges of one entry, and the number of messages that they removed in the dry run. */
interface Draft {
  readonly purges: Purge[];
  messages: number;
}

/**
 * The proposals of upkeep in a cluster. The order gives a purge its place only later, so upkeep learns the outcome from
 * a dry run: it applies the purge in a transaction that it rolls back. When the entry comes back it is applied for
 * good, and the outcomes are compared, since another entry may have come first.
 */
export class DryRuns {
  readonly #send: (entry: UpkeepEntry) => void;
  readonly #purge: ReturnType<typeof preparePurge>;
  readonly #logTime: () => number;
  readonly #runUndone: (work: () => void) => void;
  readonly #name = randomBytes(9).toString('base64url');
  #count = 0;
  /** The number of messages that each pending proposal removes, by its origin. */
  readonly #expected = new Map<string, number>();
  #drafts: Draft[] = [];
  #ticks: TickEntry[] = [];

  /**
   * @param send proposes an entry to the order
   * @param removed called for each message that a dry run removes
   */
  constructor(
    database: Database,
    send: (entry: UpkeepEntry) => void,
    removed: (id: number, recipient: string) => void,
  ) {
    this.#send = send;
    this.#purge = preparePurge(database, removed);
    const logTime = database.prepare<[], number>('SELECT logTime FROM position').pluck();
    this.#logTime = () => logTime.get() ?? 0;
    const run = database.transaction((work: () => void) => {
      work();
      throw new Undo();
    });
    this.#runUndone = (work) => {
      try {
        run.immediate(work);
      } catch (error) {
        if (!(error instanceof Undo)) throw error;
      }
    };
  }

  /** Whether proposals are pending. Another dry run would find the same messages again. */
  get isWaiting(): boolean {
    return this.#expected.size > 0;
  }

  /**
   * Runs work that calls `propose`, rolls back its changes, and sends its proposals: up to 100 purges in one entry.
   *
   * @throws SQLite's error; then nothing is sent
   */
  run(work: () => void): void {
    this.#drafts = [];
    this.#ticks = [];
    this.#runUndone(work);
    for (const { purges, messages } of this.#drafts) {
      const [purge, ...also] = purges;
      if (purge === undefined) continue;
      const origin = `${this.#name}-${++this.#count}`;
      this.#expected.set(origin, messages);
      this.#send({ kind: 'purge', purge, origin, ...(also.length === 0 ? {} : { also }) });
    }
    for (const tick of this.#ticks) this.#send(tick);
  }

  /** Proposes an entry within `run`. @returns its outcome in the dry run */
  propose(entry: UpkeepEntry): Outcome {
    if (entry.kind === 'tick') {
      this.#ticks.push(entry);
      return { kind: 'tick' };
    }
    // The bound is ahead of neither this machine's clock nor log time, so that applying the entry has the same outcome.
    const purge = { ...entry.purge, now: Math.min(entry.purge.now, this.#logTime()) };
    const outcome = this.#purge(purge, purge.now);
    if (purge.by === 'proposers' || outcome.messages > 0) this.#draft(purge, outcome);
    return outcome;
  }

  #draft(purge: Purge, { messages }: PurgeOutcome): void {
    let draft = this.#drafts.at(-1);
    if (draft === undefined || draft.purges.length >= MAX_PURGES)
      this.#drafts.push((draft = { purges: [], messages: 0 }));
    draft.purges.push(purge);
    draft.messages += messages;
  }

  /** Returns whether the messages that an entry removes were already counted by a pending dry run of this process. */
  has(origin: string | undefined): boolean {
    return origin !== undefined && this.#expected.has(origin);
  }

  /**
   * Ends the dry run with an origin. `outcome` is the outcome of its entry; `undefined` if the entry will not be
   * applied or its fate is unknown.
   *
   * @returns `false` if the outcome differs from that of the dry run
   */
  settle(origin: string | undefined, outcome: Outcome | undefined): boolean {
    if (origin === undefined || !this.#expected.has(origin)) return true;
    const expected = this.#expected.get(origin);
    this.#expected.delete(origin);
    return outcome?.kind === 'purge' && outcome.messages === expected;
  }

  /** Forgets all dry runs. Their proposals then count as those of another process. */
  forget(): void {
    this.#expected.clear();
  }
}
