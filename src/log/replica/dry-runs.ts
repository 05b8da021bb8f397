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
 * Proposals of upkeep in a cluster. The order gives a purge its place later, so upkeep learns its outcome by a dry run: the
 * purge is applied in a transaction that is undone. When the entry comes back it is applied for good, and its outcome is
 * compared: another entry may have come before it.
 */
export class DryRuns {
  readonly #send: (entry: UpkeepEntry) => void;
  readonly #purge: ReturnType<typeof preparePurge>;
  readonly #logTime: () => number;
  readonly #runUndone: (work: () => void) => void;
  readonly #name = randomBytes(9).toString('base64url');
  #count = 0;
  /** The number of messages that proposals on their way remove, by their origin. */
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

  /** Whether proposals are on their way. What they remove would be found again. */
  get isWaiting(): boolean {
    return this.#expected.size > 0;
  }

  /**
   * Runs work that proposes, and sends its proposals: all purges in one entry, if they are not very many. Nothing that the
   * work changes is kept.
   *
   * @throws what SQLite throws; nothing is sent then
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
    // Neither past this machine's clock nor past that of the order: the outcome must be the same when the entry is applied.
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

  /** Returns whether a dry run of this process, which still counts, has removed what an entry removes. */
  has(origin: string | undefined): boolean {
    return origin !== undefined && this.#expected.has(origin);
  }

  /**
   * Takes the outcome of an entry that was applied, or that it will not be or that nobody knows.
   *
   * @returns whether it is that of the dry run, or has nothing to do with one
   */
  settle(origin: string | undefined, outcome: Outcome | undefined): boolean {
    if (origin === undefined || !this.#expected.has(origin)) return true;
    const expected = this.#expected.get(origin);
    this.#expected.delete(origin);
    return outcome?.kind === 'purge' && outcome.messages === expected;
  }

  /** Forgets all dry runs. What was proposed counts as that of another process when it comes. */
  forget(): void {
    this.#expected.clear();
  }
}
