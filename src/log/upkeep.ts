import type { Database } from 'better-sqlite3';
import type { Draft } from '../message.ts';
import { Budget } from './budget.ts';
import { prepareProjection, type Project } from './projection.ts';
import { RetentionClock, type RetentionTime } from './retention-clock.ts';
import { Retention, type RetentionRule } from './retention.ts';

/** A kind of upkeep, which is done in small pieces. */
export interface UpkeepTask {
  /** Whether there is something to do. */
  readonly isDue: boolean;
  /**
   * Does a piece: a millisecond or less, unless the disk is slow. Call it in a transaction.
   *
   * @returns how many rows it looked at
   */
  run(time: RetentionTime): number;
}

/** What upkeep is started with. */
export interface UpkeepOptions {
  readonly retention: RetentionRule;
  /** The time that retention starts from, in milliseconds since the Unix epoch; `undefined`: what the clock shows. */
  readonly retentionFrom: number | undefined;
  /** Milliseconds that only grow, as of `performance.now()`. */
  readonly clock: () => number;
}

/** What one step of upkeep did. */
export interface UpkeepStep {
  /** Messages that retention took from the log. */
  readonly purged: number;
  /** Whether there is another step to do now. */
  readonly more: boolean;
}

/** A publish waits for one step at most: its work, and its COMMIT. */
const STEP_MILLISECONDS = 5;

/** The work has at least this part of a step's time, however long commits take. */
const LEAST_WORK = 0.2;

/** So many pieces of each kind are purged at once on a full disk, where no more room than the reserve is there for it. */
const PIECES_AT_ONCE = 5;

/** Conversations are brought up to date by this many ids at once. */
const PROJECTION_ROWS = 50;

/** ... when they are this far behind, or a second has passed: a query reads what is not projected itself. */
const PROJECTION_LAG = 5000;

/** The time of retention is noted so often: an idle log is to write next to nothing. */
const NOTE_MILLISECONDS = 10 * 60_000;

/** Pages are given back to the file system once this part of the file is free, and this many at once. */
const FREE_PART = 0.2;
const LEAST_FREE_PAGES = 256;
const VACUUM_PAGES = 16;

/**
 * Keeps the log in order between appends, by steps that are bounded by time: conversations, expiry, retention, the size
 * of the file. A step also does at least as much as was stored since the one before, so upkeep cannot fall behind.
 *
 * Steps are not flushed: the next append flushes them too, and what a power cut takes back is done again.
 */
export class Upkeep {
  readonly #database: Database;
  readonly #options: UpkeepOptions;
  readonly #time: RetentionClock;
  readonly #retention: Retention;
  readonly #projection: Projection;
  readonly #note: TimeNote;
  readonly #tasks: readonly UpkeepTask[];
  readonly #head: () => number;
  readonly #runInTransaction: (time: RetentionTime) => void;
  readonly #purgeInTransaction: (time: RetentionTime) => void;
  /** How much of the last step's time was work; its COMMIT took the rest. */
  #workPart = 1;
  #worked = 0;
  /** The task whose turn is next. */
  #turn = 0;
  /** Rows stored since the last step. */
  #stored = 0;
  #vacuumDue = true;
  /** Pages were given back, of which the file itself does not know yet. */
  #isLongerThanItsPages = false;

  constructor(database: Database, options: UpkeepOptions) {
    this.#database = database;
    this.#options = options;
    const head = database.prepare<[], number>('SELECT head FROM position').pluck();
    this.#head = () => head.get() ?? 0;
    this.#time = new RetentionClock(options.clock, options.retentionFrom, this.#head());
    this.#projection = new Projection(prepareProjection(database));
    this.#retention = new Retention(database, options.retention);
    this.#note = new TimeNote(database, options.clock);
    this.#tasks = [this.#projection, this.#note, ...this.#retention.tasks];
    const run = database.transaction((time: RetentionTime) => {
      this.#run(time);
      this.#worked = options.clock();
    });
    const purge = database.transaction((time: RetentionTime) => {
      for (let piece = 0; piece < PIECES_AT_ONCE; piece++) {
        for (const task of this.#retention.tasks) if (task.isDue) task.run(time);
      }
    });
    this.#purgeInTransaction = (time) => purge.immediate(time);
    this.#runInTransaction = (time) => {
      const began = options.clock();
      run.immediate(time);
      const took = options.clock() - began;
      if (took > 0) this.#workPart = Math.max(LEAST_WORK, (this.#worked - began) / took);
    };
  }

  /**
   * Looks at the clock before an append: what is stored goes by the clock of its time.
   *
   * @param now milliseconds since the Unix epoch
   */
  beforeAppend(now: number): void {
    this.#time.read(now, this.#head);
  }

  /** Notes that a message was stored. */
  stored(draft: Draft): void {
    this.#stored++;
    this.#time.stored(draft.createdAt, this.#head);
    this.#projection.behind++;
    this.#retention.counts?.stored(draft);
  }

  /** Time has passed: what is due by the clock is done in the next steps. Call it about once a second. */
  tick(): void {
    this.#retention.tick();
    this.#projection.isTime = true;
    this.#note.tick();
    this.#vacuumDue = true;
  }

  /**
   * Does one step, if there is something to do.
   *
   * @param now milliseconds since the Unix epoch
   * @throws what SQLite throws if the log cannot be written
   */
  step(now: number): UpkeepStep {
    if (!this.#isDue && !this.#vacuumDue) return { purged: 0, more: false };
    const before = this.#retention.purged;
    const time = this.#time.read(now, this.#head);
    this.#database.pragma('synchronous = NORMAL');
    try {
      if (this.#isDue) this.#runInTransaction(time);
      else if (this.#vacuumDue) this.#vacuum();
    } catch (error) {
      // What was counted in it is undone.
      this.#retention.counts?.recount();
      throw error;
    } finally {
      this.#database.pragma('synchronous = FULL');
    }
    return { purged: this.#retention.purged - before, more: this.#isDue || this.#vacuumDue };
  }

  /**
   * Purges a piece of what retention has due, and does nothing else: all that may be written while the disk is full.
   *
   * @param now milliseconds since the Unix epoch
   * @returns what was purged, and whether there is more to purge
   * @throws what SQLite throws if the log cannot be written
   */
  purge(now: number): UpkeepStep {
    const before = this.#retention.purged;
    const time = this.#time.read(now, this.#head);
    try {
      this.#purgeInTransaction(time);
    } catch (error) {
      // What was counted in it is undone.
      this.#retention.counts?.recount();
      throw error;
    }
    const { tasks, purged } = this.#retention;
    return { purged: purged - before, more: isDue(tasks) };
  }

  get #isDue(): boolean {
    return isDue(this.#tasks);
  }

  /** Does pieces of the tasks in turn until the time is up. */
  #run(time: RetentionTime): void {
    // Each row that is stored is projected, and purged once.
    const milliseconds = STEP_MILLISECONDS * this.#workPart;
    const budget = new Budget(this.#options.clock, milliseconds, 2 * this.#stored);
    this.#stored = 0;
    while (this.#isDue) {
      const task = this.#tasks[this.#turn++ % this.#tasks.length];
      if (task?.isDue === true) budget.spend(task.run(time));
      if (budget.isSpent) break;
    }
  }

  /** A step of giving back, and at the end of the steps what they did goes into the file: only then is that cut. */
  #vacuum(): void {
    const budget = new Budget(this.#options.clock, STEP_MILLISECONDS);
    const pages = this.#database.pragma('page_count', { simple: true }) as number;
    const free = this.#database.pragma('freelist_count', { simple: true }) as number;
    this.#vacuumDue = free > LEAST_FREE_PAGES && free > pages * FREE_PART;
    if (this.#vacuumDue) {
      this.#isLongerThanItsPages = true;
      for (let left = free; left > LEAST_FREE_PAGES && !budget.isSpent; left -= VACUUM_PAGES) {
        this.#database.pragma(`incremental_vacuum(${VACUUM_PAGES})`);
      }
    } else if (this.#isLongerThanItsPages) {
      // What somebody still reads stays in the write-ahead log, until the next time.
      const [result] = this.#database.pragma('wal_checkpoint(PASSIVE)') as Checkpoint[];
      this.#isLongerThanItsPages = result === undefined || result.checkpointed < result.log;
    }
  }
}

function isDue(tasks: readonly UpkeepTask[]): boolean {
  return tasks.some((task) => task.isDue);
}

/** Brings conversations up to date with the log. */
class Projection implements UpkeepTask {
  /** How many ids it is behind, at least. */
  behind = 0;
  isTime = true;
  readonly #project: Project;

  constructor(project: Project) {
    this.#project = project;
  }

  get isDue(): boolean {
    return this.isTime || this.behind >= PROJECTION_LAG;
  }

  run(): number {
    this.behind = this.#project(PROJECTION_ROWS);
    // Once it has begun it goes on until it is up to date.
    this.isTime = this.behind > 0;
    return PROJECTION_ROWS;
  }
}

/** Notes the time that retention goes by, so that the next start can compare the clock with it. */
class TimeNote implements UpkeepTask {
  isDue = true;
  readonly #clock: () => number;
  readonly #write: (held: number) => void;
  #writtenAt = 0;

  constructor(database: Database, clock: () => number) {
    this.#clock = clock;
    const note = database.prepare<[number]>('UPDATE position SET retentionTime = ?');
    this.#write = (held) => void note.run(Math.floor(held));
  }

  tick(): void {
    this.isDue ||= this.#clock() - this.#writtenAt >= NOTE_MILLISECONDS;
  }

  run({ held }: RetentionTime): number {
    this.#write(held);
    this.#writtenAt = this.#clock();
    this.isDue = false;
    return 1;
  }
}

/** How many pages are in the write-ahead log, and how many of them in the database as well. */
interface Checkpoint {
  readonly log: number;
  readonly checkpointed: number;
}
