import type { Database } from 'better-sqlite3';
import {
  type Applied,
  changedSomething,
  type DigestAt,
  entryOf,
  type OrderedEntry,
  type Outcome,
  wasStored,
} from '../entry.ts';
import type { Retention } from '../retention.ts';
import { type Apply, prepareApply } from './apply.ts';
import { openForReading, openForWriting } from './database.ts';
import type { UpkeepEntry } from './dry-runs.ts';
import { emptyWal, Relief } from './relief.ts';
import { Upkeep, type UpkeepStep } from './upkeep.ts';
import { type GateFiles, WriteGate } from './write-gate.ts';

/** The options of a writer. */
export interface WriterOptions extends GateFiles {
  readonly retention: Retention;
  /** Whether this process decides the order. Then retention removes messages at once, without a proposal. */
  readonly isLocal: boolean;
  /** The time that retention starts from, in milliseconds since the Unix epoch; `undefined` for the clock's time. */
  readonly retentionFrom?: number | undefined;
}

/** The reserve is filled in pieces of this many bytes, which take a few milliseconds each. */
const RESERVE_PIECE = 4 * 1024 * 1024;

/** Thrown in a transaction to undo it: no id was assigned in its epoch, so the order withdraws all of it. */
class Withdrawn extends Error {
  readonly outcomes: readonly Outcome[];
  constructor(outcomes: readonly Outcome[]) {
    super('no id was assigned in the epoch');
    this.outcomes = outcomes;
  }
}

/**
 * The only writer of a replica. It applies all waiting entries in one transaction, and does upkeep in small steps in
 * between. It runs in its own thread, since no socket would be served during an fsync, which takes milliseconds.
 */
export class Writer {
  readonly #database: Database;
  readonly #apply: Apply;
  readonly #applyAll: Apply;
  /** The `performance.now()` at which the COMMIT of the last entries began; 0 if it did not begin. */
  #commitBegan = 0;
  readonly #touch: () => void;
  #head = 0;
  /** The digests of the entries being applied. */
  readonly #digests: DigestAt[] = [];
  readonly #upkeep: Upkeep;
  readonly #gate: WriteGate;
  readonly #relief: Relief;
  /** A separate connection, whose cache is emptied before each probe, so that it reads from the disk. */
  readonly #reader: Database;

  /** @param send proposes an entry of upkeep to the order of a cluster */
  constructor(options: WriterOptions, send: (entry: UpkeepEntry) => void = () => undefined) {
    this.#database = openForWriting(options.file);
    this.#apply = prepareApply(this.#database, {
      removed: (id, recipient, origin) => this.#upkeep.removed(id, recipient, origin),
      digested: (digest) => this.#digests.push(digest),
    });
    this.#applyAll = immediate(this.#database, (entries) => {
      const outcomes = this.#apply(entries);
      const [epoch, ...others] = outcomes;
      const isLocal = entries[0]?.sequence === undefined;
      if (isLocal && epoch?.kind === 'epoch' && others.length > 0 && !others.some(changedSomething))
        throw new Withdrawn(outcomes);
      this.#commitBegan = performance.now();
      return outcomes;
    });
    const touch = this.#database
      .prepare<[], number>('UPDATE position SET probe = 1 - probe RETURNING head')
      .pluck();
    this.#touch = immediate(this.#database, () => {
      this.#head = touch.get() ?? 0;
    });
    const { retention, retentionFrom, isLocal } = options;
    this.#upkeep = new Upkeep(this.#database, {
      retention,
      retentionFrom,
      send: isLocal ? undefined : send,
      clock: () => performance.now(),
      // In a local order there is nobody to agree with: upkeep's entries are applied at once.
      propose: (entry, time) => this.#apply([{ entry: entryOf(entry), time }])[0] as Outcome,
    });
    this.#gate = new WriteGate(options);
    this.#relief = new Relief(this.#database, this.#upkeep, this.#gate, this.#touch);
    this.#reader = openForReading(options.file);
  }

  /** Why nothing is written now; `undefined` while writes work. */
  get closed(): string | undefined {
    return this.#gate.closed;
  }

  /**
   * Whether the last entries, if they failed, may still be found on disk at the next start. SQLite has rolled them
   * back, but their pages may have been written, even with a commit mark at the end if only the flush failed. Or
   * everything was flushed, but to files that had been moved away.
   */
  get mayBeStored(): boolean {
    return this.#commitBegan > 0;
  }

  /** The highest assigned id, as of the last probe. It was never acknowledged if the log had been moved away. */
  get head(): number {
    return this.#head;
  }

  /**
   * Applies entries in one transaction. When it returns they are on disk. If the first begins an epoch and the others
   * assign no id, nothing is stored and the first outcome is `withdrawn`.
   *
   * @throws {WriteRefused} if nothing is written now; SQLite's error if the write fails. Then no entry is acknowledged,
   *   and the next commit overwrites anything not flushed. Until then, `mayBeStored` tells whether the entries may
   *   survive
   */
  apply(entries: readonly OrderedEntry[]): Applied {
    this.#commitBegan = 0;
    this.#digests.length = 0;
    this.#upkeep.beforeAppend(Date.now());
    const began = performance.now();
    const outcomes = this.#applyOrUndo(entries);
    const ended = performance.now();
    for (const [index, outcome] of outcomes.entries()) {
      const ordered = entries[index];
      this.#noteStored(ordered, outcome);
      if (ordered?.entry.kind === 'purge') this.#upkeep.settled(ordered.entry.origin, outcome);
    }
    const syncMilliseconds = this.#commitBegan === 0 ? 0 : ended - this.#commitBegan;
    const applied = { outcomes, seconds: (ended - began) / 1000, syncSeconds: syncMilliseconds / 1000 };
    return this.#digests.length === 0 ? applied : { ...applied, digests: [...this.#digests] };
  }

  #applyOrUndo(entries: readonly OrderedEntry[]): readonly Outcome[] {
    try {
      return this.#gate.run(() => this.#applyUnlessWithdrawn(entries));
    } catch (error) {
      this.#upkeep.notApplied();
      throw error;
    }
  }

  #applyUnlessWithdrawn(entries: readonly OrderedEntry[]): readonly Outcome[] {
    try {
      return this.#applyAll(entries);
    } catch (error) {
      if (!(error instanceof Withdrawn)) throw error;
      return [{ kind: 'withdrawn' }, ...error.outcomes.slice(1)];
    }
  }

  /** Tells upkeep and the gate what was stored. */
  #noteStored(ordered: OrderedEntry | undefined, outcome: Outcome): void {
    if (ordered?.entry.kind !== 'append' || outcome.kind !== 'append') return;
    for (const [index, batch] of ordered.entry.batches.entries()) {
      const result = outcome.results[index];
      if (result === undefined || 'fault' in result) continue;
      let bytes = 0;
      for (const [place, draft] of batch.entries()) {
        bytes += draft.content.length;
        if (wasStored(result[place])) this.#upkeep.stored(draft, ordered.time);
      }
      this.#gate.wrote(bytes);
    }
  }

  /** See `Upkeep.retain`. */
  retain(retention: Retention | undefined): void {
    this.#upkeep.retain(retention);
  }

  /** Notes that a proposed purge may never come back. */
  unproposed(origin: string): void {
    this.#upkeep.settled(origin, undefined);
  }

  /** Checks the disk and makes time-driven tasks due again. Call it about once a second. */
  tick(): void {
    this.#gate.look();
    this.#upkeep.tick();
  }

  /** Whether a step of upkeep has something to do, apart from growing the reserve, which waits for the next tick. */
  get isUpkeepDue(): boolean {
    return this.#gate.closed !== undefined || this.#upkeep.isDue;
  }

  /**
   * Does one step of upkeep, if there is something to do.
   *
   * @param now milliseconds since the Unix epoch
   * @throws SQLite's error if the log cannot be written
   */
  upkeep(now: number): UpkeepStep {
    if (this.#gate.closed !== undefined) return this.#relief.step(now);
    const growing = this.#gate.growReserve(RESERVE_PIECE);
    const { more, ...done } = this.#gate.runUpkeep(() => this.#upkeep.step(now));
    return { ...done, more: more || growing };
  }

  /**
   * Checks that a publish of ordinary size would be stored, and that the disk can be read. The commit changes a value,
   * since SQLite writes nothing if no value changes.
   *
   * @throws {WriteRefused} if nothing is written now; SQLite's error if the log cannot be written or read
   */
  probe(): void {
    this.#gate.run(() => {
      this.#gate.tryRoom();
      this.#touch();
    });
    this.#reader.pragma('shrink_memory');
    this.#reader.prepare('SELECT * FROM messages ORDER BY id DESC LIMIT 1').get();
  }

  /** Checkpoints the write-ahead log into the database and closes it. */
  close(): void {
    this.#reader.close();
    if (this.#gate.isInPlace) this.#emptyWal();
    this.#database.close();
    this.#gate.close();
  }

  /** Empties the write-ahead log before closing. On a full disk, uses the room of the reserve. */
  #emptyWal(): void {
    try {
      emptyWal(this.#database);
    } catch {
      try {
        this.#gate.reserve.release();
        emptyWal(this.#database);
      } catch {
        // Nothing is lost: the next start reads the write-ahead log.
      }
    }
  }
}

/** Wraps a function in a transaction that takes the write lock at once and is rolled back if the function throws. */
function immediate<Arguments extends unknown[], Result>(
  database: Database,
  apply: (...values: Arguments) => Result,
): (...values: Arguments) => Result {
  const transaction = database.transaction(apply);
  return (...values) => transaction.immediate(...values);
}
