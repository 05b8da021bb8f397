import type { Database } from 'better-sqlite3';
import type { Draft } from '../message.ts';
import { type Append, type AppendResult, prepareAppend } from './append.ts';
import { openForWriting } from './database.ts';
import { type ApplyPush, preparePush } from './push-apply.ts';
import type { PushChange, PushEntry } from './push-store.ts';
import type { RetentionRule } from './retention.ts';
import { Upkeep, type UpkeepStep } from './upkeep.ts';

/** What the writer is started with. */
export interface WriterOptions {
  readonly file: string;
  /** This run's tag. */
  readonly tag: string;
  readonly retention: RetentionRule;
  /** The time that retention starts from, in milliseconds since the Unix epoch; `undefined`: what the clock shows. */
  readonly retentionFrom?: number | undefined;
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

/**
 * The one writer of the log: appends in one transaction all that waits, and between appends keeps the log in order by
 * small steps. It is run by a thread of its own, since an fsync is milliseconds in which no socket would be served.
 */
export class Writer {
  readonly #database: Database;
  readonly #tag: string;
  readonly #appendAll: Append;
  /** When the last append was applied, and its COMMIT began. */
  #applied = 0;
  readonly #applyPush: ApplyPush;
  readonly #probe: () => void;
  readonly #upkeep: Upkeep;

  constructor(options: WriterOptions) {
    this.#database = openForWriting(options.file);
    this.#tag = options.tag;
    const append = prepareAppend(this.#database);
    this.#appendAll = immediate(this.#database, (entry) => {
      const results = append(entry);
      this.#applied = performance.now();
      return results;
    });
    this.#applyPush = immediate(this.#database, preparePush(this.#database));
    const touch = this.#database.prepare('UPDATE position SET probe = 1 - probe');
    this.#probe = immediate(this.#database, () => void touch.run());
    const { retention, retentionFrom } = options;
    this.#upkeep = new Upkeep(this.#database, { retention, retentionFrom, clock: () => performance.now() });
  }

  /**
   * Stores batches, all in one transaction. When it returns they are on disk.
   *
   * @returns what became of each batch, in order, and how long that took
   * @throws what SQLite throws where the log cannot be written; then none is stored
   */
  append(batches: readonly (readonly Draft[])[]): Appended {
    this.#upkeep.beforeAppend(Date.now());
    const began = performance.now();
    const results = this.#appendAll({ tag: this.#tag, batches });
    const ended = performance.now();
    for (const [index, batch] of batches.entries()) {
      const placements = results[index];
      if (placements === undefined || 'fault' in placements) continue;
      for (const [place, draft] of batch.entries()) {
        if (typeof placements[place] === 'number') this.#upkeep.stored(draft);
      }
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
    this.#upkeep.tick();
  }

  /**
   * Does one step of upkeep, if there is something to do.
   *
   * @param now milliseconds since the Unix epoch
   * @throws what SQLite throws where the log cannot be written
   */
  upkeep(now: number): UpkeepStep {
    return this.#upkeep.step(now);
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
}

/** A function as a transaction that takes the write lock at its beginning, and is undone where it throws. */
function immediate<Arguments extends unknown[], Result>(
  database: Database,
  apply: (...values: Arguments) => Result,
): (...values: Arguments) => Result {
  const transaction = database.transaction(apply);
  return (...values) => transaction.immediate(...values);
}
