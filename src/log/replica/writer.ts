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
  /** Whether this process gives the order: then what retention removes is removed at once. */
  readonly isLocal: boolean;
  /** The time that retention starts from, in milliseconds since the Unix epoch; `undefined`: the time of the clock. */
  readonly retentionFrom?: number | undefined;
}

/** The reserve is made in pieces of this many bytes, in a few milliseconds each. */
const RESERVE_PIECE = 4 * 1024 * 1024;

/** Thrown in a transaction to undo it: its epoch gave no id, so the order takes all of it back. */
class Withdrawn extends Error {
  readonly outcomes: readonly Outcome[];
  constructor(outcomes: readonly Outcome[]) {
    super('the epoch gave no id');
    this.outcomes = outcomes;
  }
}

/**
 * The one writer of a replica: it applies all waiting entries in one transaction, and does upkeep in small steps in
 * between. It runs in a thread of its own, since an fsync takes milliseconds in which no socket would be served.
 */
export class Writer {
  readonly #database: Database;
  readonly #apply: Apply;
  readonly #applyAll: Apply;
  /** When the COMMIT of the last entries began; 0 if it did not. */
  #commitBegan = 0;
  readonly #touch: () => void;
  #head = 0;
  /** Of the entries that are being applied. */
  readonly #digests: DigestAt[] = [];
  readonly #upkeep: Upkeep;
  readonly #gate: WriteGate;
  readonly #relief: Relief;
  /** A connection of its own, whose cache is emptied before each try: what it reads comes from the disk. */
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
      // With the local order there is nobody to agree with: upkeep's entries are in their place at once.
      propose: (entry, time) => this.#apply([{ entry: entryOf(entry), time }])[0] as Outcome,
    });
    this.#gate = new WriteGate(options);
    this.#relief = new Relief(this.#database, this.#upkeep, this.#gate, this.#touch);
    this.#reader = openForReading(options.file);
  }

  /** Why nothing is written now; `undefined` while it is. */
  get closed(): string | undefined {
    return this.#gate.closed;
  }

  /**
   * Whether the last entries, if they failed, may be found on the disk by the next start. SQLite has undone them, but their
   * pages may have been written: with the mark of a commit at their end, if only the flush failed. Or all of it was
   * flushed, to files that had been moved away.
   */
  get mayBeStored(): boolean {
    return this.#commitBegan > 0;
  }

  /** The highest id given, as of the last trial. It was not acknowledged if the log had been moved away. */
  get head(): number {
    return this.#head;
  }

  /**
   * Applies entries, all in one transaction. When it returns they are on disk. If the first begins an epoch and the others
   * give no id, nothing is stored and its outcome is `withdrawn`.
   *
   * @throws {WriteRefused} if nothing is written now; what SQLite throws if it fails: then none is acknowledged, and what
   *   was not flushed is overwritten by the next commit; until then `mayBeStored` tells
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

  /** As `Upkeep.retain`. */
  retain(retention: Retention | undefined): void {
    this.#upkeep.retain(retention);
  }

  /** Notes that a purge which was sent will not come back, or that nobody knows whether it will. */
  unproposed(origin: string): void {
    this.#upkeep.settled(origin, undefined);
  }

  /** Lets the next steps do what the clock has made due. Call it about once a second. */
  tick(): void {
    this.#gate.look();
    this.#upkeep.tick();
  }

  /** Whether a step of upkeep has something to do. The reserve grows with the next tick. */
  get isUpkeepDue(): boolean {
    return this.#gate.closed !== undefined || this.#upkeep.isDue;
  }

  /**
   * Does one step of upkeep, if there is something to do.
   *
   * @param now milliseconds since the Unix epoch
   * @throws what SQLite throws if the log cannot be written
   */
  upkeep(now: number): UpkeepStep {
    if (this.#gate.closed !== undefined) return this.#relief.step(now);
    const growing = this.#gate.growReserve(RESERVE_PIECE);
    const { more, ...done } = this.#gate.runUpkeep(() => this.#upkeep.step(now));
    return { ...done, more: more || growing };
  }

  /**
   * Tries whether a publish of ordinary size would be stored, and whether the disk can be read. The commit changes a value,
   * since SQLite writes nothing for a value that stays.
   *
   * @throws {WriteRefused} if nothing is written now; what SQLite throws if the log cannot be written or read
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

  /** Empties the write-ahead log at the end, on a full disk with the room of the reserve. */
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

/** Returns a function as a transaction that takes the write lock at its beginning and is undone if it throws. */
function immediate<Arguments extends unknown[], Result>(
  database: Database,
  apply: (...values: Arguments) => Result,
): (...values: Arguments) => Result {
  const transaction = database.transaction(apply);
  return (...values) => transaction.immediate(...values);
}
