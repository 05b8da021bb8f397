import type { Database } from 'better-sqlite3';
import type { Draft } from '../message.ts';
import { type Append, type AppendResult, prepareAppend } from './append.ts';
import { openForWriting } from './database.ts';
import { prepareProjection, type Project } from './projection.ts';
import { type ApplyPush, preparePush } from './push-apply.ts';
import type { PushChange, PushEntry } from './push-store.ts';
import { Retention, type RetentionRule } from './retention.ts';

/** What the writer is started with. */
export interface WriterOptions {
  readonly file: string;
  /** This run's tag. */
  readonly tag: string;
  readonly retention: RetentionRule;
}

/** A group that is on disk. */
export interface Appended {
  /** What became of each batch, in order. */
  readonly results: readonly AppendResult[];
  /** How long the transaction took. */
  readonly seconds: number;
  /** How long its COMMIT took: the fsync, and now and then a checkpoint of the write-ahead log. */
  readonly syncSeconds: number;
}

/** What one step of upkeep did. */
export interface Upkeep {
  /** Messages that retention took from the log. */
  readonly purged: number;
  /** Whether there is another step to do now. */
  readonly more: boolean;
}

/** Upkeep goes in steps of this many rows, a few milliseconds each: a publish waits for one at the most. */
const STEP_ROWS = 500;

/** Conversations are brought up to date in steps of this many ids. */
const PROJECTION_STEP = 2000;

/** ... when they are this far behind, or a second has passed: a query reads what is not projected itself. */
const PROJECTION_LAG = 5000;

/** Pages are given back to the file system once this part of the file is free, and this many at a time. */
const FREE_PART = 0.2;
const VACUUM_PAGES = 256;

/**
 * The one writer of the log: appends in one transaction all that waits, and between appends keeps the log in order by
 * small steps: conversations, expiry, retention, the size of the file. It is run by a thread of its own, since an
 * fsync is milliseconds in which no socket would be served.
 */
export class Writer {
  readonly #database: Database;
  readonly #tag: string;
  readonly #appendAll: Append;
  /** When the last append was applied, and its COMMIT began. */
  #applied = 0;
  readonly #project: Project;
  readonly #applyPush: ApplyPush;
  readonly #probe: () => void;
  readonly #retention: Retention;
  /** Rows stored since the last step: upkeep takes as many more, so that it cannot fall behind a busy publisher. */
  #appended = 0;
  #toProject = 0;
  #projecting = true;
  #vacuumDue = true;
  /** Pages were given back, of which the file itself does not know yet. */
  #isLongerThanItsPages = false;

  constructor(options: WriterOptions) {
    this.#database = openForWriting(options.file);
    this.#tag = options.tag;
    const append = prepareAppend(this.#database);
    this.#appendAll = immediate(this.#database, (entry) => {
      const results = append(entry);
      this.#applied = performance.now();
      return results;
    });
    this.#project = immediate(this.#database, prepareProjection(this.#database));
    this.#applyPush = immediate(this.#database, preparePush(this.#database));
    const touch = this.#database.prepare('UPDATE position SET probe = 1 - probe');
    this.#probe = immediate(this.#database, () => void touch.run());
    this.#retention = new Retention(this.#database, options.retention);
  }

  /**
   * Stores batches, all in one transaction. When it returns they are on disk.
   *
   * @returns what became of each batch, in order, and how long that took
   * @throws what SQLite throws where the log cannot be written; then none is stored
   */
  append(batches: readonly (readonly Draft[])[]): Appended {
    const began = performance.now();
    const results = this.#appendAll({ tag: this.#tag, batches });
    const ended = performance.now();
    for (const [index, batch] of batches.entries()) {
      if (!Array.isArray(results[index])) continue;
      this.#retention.grew(batch);
      this.#appended += batch.length;
      this.#toProject += batch.length;
    }
    return { results, seconds: (ended - began) / 1000, syncSeconds: (ended - this.#applied) / 1000 };
  }

  /**
   * Changes subscriptions to notifications, in one transaction.
   *
   * @returns what each entry changed, in order; it is on disk
   * @throws what SQLite throws where the log cannot be written; then nothing was changed
   */
  applyPush(entries: readonly PushEntry[]): PushChange[] {
    return this.#applyPush(entries);
  }

  /** Time has passed: what is due by the clock is done in the next steps. Call it about once a second. */
  tick(): void {
    this.#retention.tick();
    this.#projecting = true;
    this.#vacuumDue = true;
  }

  /**
   * One step of upkeep, if there is something to do.
   *
   * @param now milliseconds since the Unix epoch
   * @throws what SQLite throws where the log cannot be written
   */
  upkeep(now: number): Upkeep {
    if (this.#projecting || this.#toProject >= PROJECTION_LAG) {
      this.#toProject = this.#project(PROJECTION_STEP + this.#appended);
      this.#projecting = this.#toProject > 0;
    }
    const { purged, more } = this.#retention.step(now, STEP_ROWS + this.#appended);
    this.#appended = 0;
    if (!more && this.#vacuumDue) this.#vacuum();
    return { purged, more: more || this.#projecting || this.#vacuumDue };
  }

  /**
   * Tries a commit. It changes a value: SQLite would write nothing for one that stays.
   *
   * @throws what SQLite throws where the log cannot be written
   */
  probe(): void {
    this.#probe();
  }

  /** Checkpoints the write-ahead log into the database and closes it. */
  close(): void {
    try {
      this.#database.pragma('wal_checkpoint(TRUNCATE)');
    } catch {
      // On a full disk. Nothing is lost: the next start reads the write-ahead log.
    }
    this.#database.close();
  }

  /** A step of giving back, and at the end of the steps what they did goes into the file: only then is that cut. */
  #vacuum(): void {
    const pages = this.#database.pragma('page_count', { simple: true }) as number;
    const free = this.#database.pragma('freelist_count', { simple: true }) as number;
    this.#vacuumDue = free > VACUUM_PAGES && free > pages * FREE_PART;
    if (this.#vacuumDue) {
      this.#database.pragma(`incremental_vacuum(${VACUUM_PAGES})`);
      this.#isLongerThanItsPages = true;
    } else if (this.#isLongerThanItsPages) {
      // What somebody still reads stays in the write-ahead log, until the next time.
      const [result] = this.#database.pragma('wal_checkpoint(PASSIVE)') as Checkpoint[];
      this.#isLongerThanItsPages = result === undefined || result.checkpointed < result.log;
    }
  }
}

/** How many pages are in the write-ahead log, and how many of them in the database as well. */
interface Checkpoint {
  readonly log: number;
  readonly checkpointed: number;
}

/** A function as a transaction that takes the write lock at its beginning, and is undone where it throws. */
function immediate<Arguments extends unknown[], Result>(
  database: Database,
  apply: (...values: Arguments) => Result,
): (...values: Arguments) => Result {
  const transaction = database.transaction(apply);
  return (...values) => transaction.immediate(...values);
}
