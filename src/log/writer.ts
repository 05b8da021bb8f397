import type { Database } from 'better-sqlite3';
import type { Draft } from '../message.ts';
import { type Append, type AppendResult, prepareAppend } from './append.ts';
import { openForReading, openForWriting } from './database.ts';
import { type ApplyPush, preparePush } from './push-apply.ts';
import type { PushChange, PushEntry } from './push-store.ts';
import { emptyWal, Relief } from './relief.ts';
import type { RetentionRule } from './retention.ts';
import { Upkeep, type UpkeepStep } from './upkeep.ts';
import { type GateFiles, WriteGate } from './write-gate.ts';

/** What the writer is started with. */
export interface WriterOptions extends GateFiles {
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

/** The reserve is made in pieces of so many bytes, a few milliseconds each. */
const RESERVE_PIECE = 4 * 1024 * 1024;

/**
 * The one writer of the log: appends in one transaction all that waits, and between appends keeps the log in order by
 * small steps. It is run by a thread of its own, since an fsync is milliseconds in which no socket would be served.
 */
export class Writer {
  readonly #database: Database;
  readonly #tag: string;
  readonly #appendAll: Append;
  /** When the COMMIT of the last append or change of subscriptions began; 0 if it did not. */
  #commitBegan = 0;
  readonly #applyPush: ApplyPush;
  readonly #touch: () => void;
  #head = 0;
  readonly #upkeep: Upkeep;
  readonly #gate: WriteGate;
  readonly #relief: Relief;
  /** A connection of its own, whose cache is emptied for each try: what is read comes from the disk. */
  readonly #reader: Database;

  constructor(options: WriterOptions) {
    this.#database = openForWriting(options.file);
    this.#tag = options.tag;
    const append = prepareAppend(this.#database);
    this.#appendAll = immediate(this.#database, (entry) => {
      const results = append(entry);
      this.#gate.checkPlace();
      this.#commitBegan = performance.now();
      return results;
    });
    const applyPush = preparePush(this.#database);
    this.#applyPush = immediate(this.#database, (entries) => {
      const changes = applyPush(entries);
      this.#commitBegan = performance.now();
      return changes;
    });
    const touch = this.#database
      .prepare<[], number>('UPDATE position SET probe = 1 - probe RETURNING head')
      .pluck();
    this.#touch = immediate(this.#database, () => {
      this.#head = touch.get() ?? 0;
    });
    const { retention, retentionFrom } = options;
    this.#upkeep = new Upkeep(this.#database, { retention, retentionFrom, clock: () => performance.now() });
    this.#gate = new WriteGate(options);
    this.#relief = new Relief(this.#database, this.#upkeep, this.#gate, this.#touch);
    this.#reader = openForReading(options.file);
  }

  /** Why nothing is written now; `undefined` while it is. */
  get closed(): string | undefined {
    return this.#gate.closed;
  }

  /**
   * Whether the last append or change of subscriptions, if it failed, may be found on the disk by the next start. SQLite has
   * undone it, but its pages may have been written: with the mark of a commit at their end, if only the flush failed. Or
   * all of it was flushed, and the files were moved away in that instant.
   */
  get mayBeStored(): boolean {
    return this.#commitBegan > 0;
  }

  /** The highest id given, as of the last trial: it was not acknowledged if the log was moved away in that instant. */
  get head(): number {
    return this.#head;
  }

  /**
   * Stores batches, all in one transaction. When it returns they are on disk.
   *
   * @returns what became of each batch, in order, and how long that took
   * @throws {WriteRefused} if nothing is written now; what SQLite throws if it fails: then none is acknowledged, and what
   *   was not flushed is overwritten by the next commit; until then `mayBeStored` tells
   */
  append(batches: readonly (readonly Draft[])[]): Appended {
    this.#commitBegan = 0;
    this.#upkeep.beforeAppend(Date.now());
    const began = performance.now();
    const results = this.#gate.run(() => this.#appendAll({ tag: this.#tag, batches }));
    const ended = performance.now();
    for (const [index, batch] of batches.entries()) {
      const placements = results[index];
      if (placements === undefined || 'fault' in placements) continue;
      let bytes = 0;
      for (const [place, draft] of batch.entries()) {
        bytes += draft.content.length;
        if (typeof placements[place] === 'number') this.#upkeep.stored(draft);
      }
      this.#gate.wrote(bytes);
    }
    return { results, seconds: (ended - began) / 1000, syncSeconds: (ended - this.#commitBegan) / 1000 };
  }

  /**
   * Changes subscriptions to notifications, in one transaction.
   *
   * @returns what each entry changed, in order; it is on disk
   * @throws {WriteRefused} if nothing is written now; what SQLite throws if it fails: then `mayBeStored` tells
   */
  applyPush(entries: readonly PushEntry[]): PushChange[] {
    this.#commitBegan = 0;
    return this.#gate.run(() => this.#applyPush(entries));
  }

  /** Time has passed: what is due by the clock is done in the next steps. Call it about once a second. */
  tick(): void {
    this.#gate.look();
    this.#upkeep.tick();
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
    const { purged, more } = this.#gate.runUpkeep(() => this.#upkeep.step(now));
    return { purged, more: more || growing };
  }

  /**
   * Tries whether a publish of ordinary size would be taken, and whether the disk can be read. The commit changes a value:
   * SQLite would write nothing for one that stays.
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

  /** For the end: on a full disk with the room of the reserve. */
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

/** A function as a transaction that takes the write lock at its beginning, and is undone where it throws. */
function immediate<Arguments extends unknown[], Result>(
  database: Database,
  apply: (...values: Arguments) => Result,
): (...values: Arguments) => Result {
  const transaction = database.transaction(apply);
  return (...values) => transaction.immediate(...values);
}
