import type { Database } from 'better-sqlite3';
import type { Draft } from '../../message.ts';
import { changedSomething, type Outcome, type Purge, type PurgeOutcome } from '../entry.ts';
import type { Retention } from '../retention.ts';
import { Budget } from './budget.ts';
import { DryRuns, type UpkeepEntry } from './dry-runs.ts';
import { ProposersTask } from './proposers-task.ts';
import { prepareProjection } from './projection.ts';
import { ProjectionTask } from './projection-task.ts';
import { RetentionClock, type RetentionTime } from './retention-clock.ts';
import { RetentionTimeNote } from './retention-time-note.ts';
import { RetentionTasks } from './retention-tasks.ts';
import type { UpkeepTask } from './upkeep-task.ts';
import { Vacuum } from './vacuum.ts';

/** The options of upkeep. */
export interface UpkeepOptions {
  readonly retention: Retention;
  /** The time that retention starts from, in milliseconds since the Unix epoch; `undefined` for the clock's time. */
  readonly retentionFrom: number | undefined;
  /**
   * Proposes an entry to the order of a cluster, which later leads to a call of `apply`. Upkeep then proposes purges
   * only after `retain` was called. Missing in a local order, where `propose` applies entries at once.
   */
  readonly send?: ((entry: UpkeepEntry) => void) | undefined;
  /** Returns the milliseconds of a monotonic clock, such as `performance.now()`. */
  readonly clock: () => number;
  /**
   * Proposes an entry and returns its outcome, inside the transaction of a step.
   *
   * @param time the proposer's clock, in milliseconds since the Unix epoch
   */
  readonly propose: (entry: UpkeepEntry, time: number) => Outcome;
}

/** The result of one step of upkeep. */
export interface UpkeepStep {
  /** The number of messages removed because they expired or by retention. */
  readonly purged: number;
  /** The time of its entries, in milliseconds since the Unix epoch; `undefined` if none changed anything. */
  readonly logTime: number | undefined;
  /** Whether another step is due now. */
  readonly more: boolean;
}

/** The target time of a step with its COMMIT. A publish waits for at most one step. */
const STEP_MILLISECONDS = 5;

/** The minimum fraction of a step's time spent on work, however long commits take. */
const MIN_WORK = 0.2;

/** The number of pieces of each kind purged at once on a full disk, where a purge has no more room than the reserve. */
const PIECES_AT_ONCE = 5;

/** The number of messages in one purge in a cluster: larger, since each entry takes a while to get its place. */
const CLUSTER_ROWS = 250;

/**
 * The upkeep of the log between appends: conversations, expiry, retention and the size of the file, in steps bounded by
 * time. A step processes at least as much as was stored since the one before, so that upkeep cannot fall behind.
 *
 * Steps are not flushed to disk: the next append flushes them, and steps lost in a power cut are repeated.
 */
export class Upkeep {
  readonly #database: Database;
  readonly #options: UpkeepOptions;
  readonly #time: RetentionClock;
  #retention: RetentionTasks | undefined;
  readonly #projection: ProjectionTask;
  readonly #note: RetentionTimeNote;
  readonly #proposers: ProposersTask;
  /** The dry runs in a cluster; `undefined` with a local order. */
  readonly #dryRuns: DryRuns | undefined;
  /** Tasks that change the database. */
  #tasks: readonly UpkeepTask[];
  /** Tasks that propose to the order of a cluster. */
  #proposing: readonly UpkeepTask[] = [];
  readonly #head: () => number;
  /** Returns log time, in milliseconds since the Unix epoch. */
  readonly #storedLogTime: () => number;
  /** The time of the clock in this step, in milliseconds since the Unix epoch. */
  #now = 0;
  /** The time of this step's entries, if one of them changed something. */
  #logTime: number | undefined;
  readonly #runInTransaction: (time: RetentionTime) => void;
  readonly #purgeInTransaction: (time: RetentionTime) => void;
  /** The fraction of the last step's time spent on work. Its COMMIT took the rest. */
  #workPart = 1;
  #worked = 0;
  /** The task whose turn is next. */
  #turn = 0;
  /** The number of rows stored since the last step. */
  #stored = 0;
  readonly #vacuum: Vacuum;
  /** Whether the next step compares its clock with log time. */
  #comparesClock = false;

  constructor(database: Database, options: UpkeepOptions) {
    this.#database = database;
    this.#options = options;
    this.#vacuum = new Vacuum(database);
    const head = database.prepare<[], number>('SELECT head FROM position').pluck();
    this.#head = () => head.get() ?? 0;
    const logTime = database.prepare<[], number>('SELECT logTime FROM position').pluck();
    this.#storedLogTime = () => logTime.get() ?? 0;
    this.#time = new RetentionClock(options.clock, options.retentionFrom, this.#head());
    this.#projection = new ProjectionTask(prepareProjection(database));
    const { clock, send } = options;
    if (send !== undefined)
      this.#dryRuns = new DryRuns(database, send, (id, recipient) => this.removed(id, recipient));
    this.#note = new RetentionTimeNote(clock, (held) => this.#propose({ kind: 'tick', retentionTime: held }));
    this.#proposers = new ProposersTask(database, clock, (purge) => this.#purge(purge));
    this.#tasks = [this.#projection];
    if (this.#dryRuns === undefined) {
      this.#retention = this.#newRetention(options.retention);
      this.#tasks = [this.#projection, this.#note, ...this.#retention.tasks];
    }
    const run = database.transaction((time: RetentionTime) => {
      this.#run(time, this.#tasks);
      this.#worked = options.clock();
    });
    const purge = database.transaction((time: RetentionTime) => {
      if (this.#dryRuns !== undefined) return;
      for (let piece = 0; piece < PIECES_AT_ONCE; piece++) {
        for (const task of this.#retention?.tasks ?? []) if (task.isDue) task.run(time);
      }
    });
    this.#purgeInTransaction = (time) => purge.immediate(time);
    this.#runInTransaction = (time) => {
      const began = options.clock();
      run.immediate(time);
      const took = options.clock() - began;
      if (took > 0) this.#workPart = Math.max(MIN_WORK, (this.#worked - began) / took);
    };
  }

  /**
   * Starts proposing what this retention removes to the order of a cluster; stops if it is omitted. Forgets all counts.
   */
  retain(retention?: Retention): void {
    this.#dryRuns?.forget();
    this.#retention = undefined;
    this.#proposing = [];
    if (retention === undefined) return;
    this.#retention = this.#newRetention(retention, CLUSTER_ROWS);
    this.#proposing = [this.#note, this.#proposers, ...this.#retention.tasks];
  }

  /** Notes the outcome of a cluster's purge entry; `undefined` if it was not applied or its fate is unknown. */
  settled(origin: string | undefined, outcome: Outcome | undefined): void {
    if (this.#dryRuns?.settle(origin, outcome) === false) this.#undone();
  }

  /** Notes that a transaction was rolled back. In a cluster it may have contained purges. */
  notApplied(): void {
    if (this.#dryRuns !== undefined) this.#undone();
  }

  /**
   * Reads the clock before an append, since messages go by the clock as it was when they were stored.
   *
   * @param now milliseconds since the Unix epoch
   */
  beforeAppend(now: number): void {
    this.#time.read(now, this.#head);
  }

  /** Notes that a message was stored. @param time the time of its entry, in milliseconds since the Unix epoch */
  stored(draft: Draft, time: number): void {
    this.#stored++;
    this.#time.stored(time, this.#head);
    this.#projection.behind++;
    this.#retention?.counts?.stored(draft);
  }

  /** Notes that a purge has removed a message, unless the dry run with its `origin` has counted it. */
  removed(id: number, recipient: string, origin?: string): void {
    if (this.#dryRuns?.has(origin) !== true) this.#retention?.removed(id, recipient);
  }

  /** Makes time-driven tasks due again. Call it about once a second. */
  tick(): void {
    this.#retention?.tick();
    this.#projection.isTime = true;
    this.#note.tick();
    this.#proposers.tick();
    this.#comparesClock = true;
    this.#vacuum.isDue = true;
  }

  /** Whether there is something to do. */
  get isDue(): boolean {
    return this.#vacuum.isDue || isDue(this.#tasks) || this.#proposesNow;
  }

  get #proposesNow(): boolean {
    return isDue(this.#proposing) && this.#dryRuns?.isWaiting !== true;
  }

  /**
   * Does one step, if there is something to do.
   *
   * @param now milliseconds since the Unix epoch
   * @throws SQLite's error if the log cannot be written
   */
  step(now: number): UpkeepStep {
    if (!this.isDue) return { purged: 0, logTime: undefined, more: false };
    const before = this.#purged;
    const time = this.#readClock(now);
    this.#database.pragma('synchronous = NORMAL');
    try {
      if (isDue(this.#tasks)) this.#runInTransaction(time);
      else if (this.#proposesNow) this.#dryRuns?.run(() => this.#run(time, this.#proposing));
      else this.#vacuum.run(new Budget(this.#options.clock, STEP_MILLISECONDS));
    } catch (error) {
      this.#undone();
      throw error;
    } finally {
      this.#database.pragma('synchronous = FULL');
    }
    const purged = this.#purged - before;
    return { purged, logTime: this.#logTime, more: this.isDue };
  }

  /**
   * Purges some of the due messages and nothing more, since nothing else may be written while the disk is full. Does
   * nothing in a cluster, where the entry could not be applied now.
   *
   * @param now milliseconds since the Unix epoch
   * @returns the number of purged messages, and whether there are more
   * @throws SQLite's error if the log cannot be written
   */
  purge(now: number): UpkeepStep {
    const before = this.#purged;
    const time = this.#readClock(now);
    try {
      this.#purgeInTransaction(time);
    } catch (error) {
      this.#undone();
      throw error;
    }
    const more = this.#dryRuns === undefined && isDue(this.#retention?.tasks ?? []);
    return { purged: this.#purged - before, logTime: this.#logTime, more };
  }

  /** Makes the tasks forget what they did in a transaction that was rolled back. */
  #undone(): void {
    this.#dryRuns?.forget();
    this.#retention?.undone();
    this.#note.isDue = true;
  }

  /** The number of messages that its own purges removed. A cluster's purges are counted when they are applied. */
  get #purged(): number {
    return this.#dryRuns === undefined ? (this.#retention?.purged ?? 0) : 0;
  }

  #newRetention(retention: Retention, rows?: number): RetentionTasks {
    return new RetentionTasks(this.#database, retention, (purge) => this.#purge(purge), rows);
  }

  #purge(purge: Purge): PurgeOutcome {
    return this.#propose({ kind: 'purge', purge }) as PurgeOutcome;
  }

  #propose(entry: UpkeepEntry): Outcome {
    if (this.#dryRuns !== undefined) return this.#dryRuns.propose(entry);
    const outcome = this.#options.propose(entry, this.#now);
    if (changedSomething(outcome)) this.#logTime = this.#now;
    return outcome;
  }

  #readClock(now: number): RetentionTime {
    this.#now = now;
    this.#logTime = undefined;
    // The clock was set back. Reads go by log time until the clock has caught up, which may take long on an idle log.
    if (this.#dryRuns === undefined && this.#comparesClock && now < this.#storedLogTime())
      this.#note.isDue = true;
    this.#comparesClock = false;
    return this.#time.read(now, this.#head);
  }

  /** Runs pieces of the tasks round-robin until the time is up. */
  #run(time: RetentionTime, tasks: readonly UpkeepTask[]): void {
    // Each stored row is projected once and purged once.
    const milliseconds = STEP_MILLISECONDS * this.#workPart;
    const budget = new Budget(this.#options.clock, milliseconds, 2 * this.#stored);
    this.#stored = 0;
    while (isDue(tasks)) {
      const task = tasks[this.#turn++ % tasks.length];
      if (task?.isDue === true) budget.spend(task.run(time));
      if (budget.isSpent) break;
    }
  }
}

function isDue(tasks: readonly UpkeepTask[]): boolean {
  return tasks.some((task) => task.isDue);
}
