import { Worker } from 'node:worker_threads';
import type { Database } from 'better-sqlite3';
import type { Logger } from 'pino';
import { explain, startErrorOf } from '../../files/explain.ts';
import { isReadByAll } from '../../files/private-file.ts';
import { realFile } from '../../files/real-file.ts';
import { type Applied, changedSomething, type OrderedEntry } from '../entry.ts';
import type { LogFiles } from '../log-metrics.ts';
import { LogUnavailable } from '../message-log.ts';
import type { Retention } from '../retention.ts';
import { Conversations } from './conversations.ts';
import { makeReady, openForReading } from './database.ts';
import { measureFiles } from './files.ts';
import { CHECK_LIMITS, startIntegrityCheck } from './integrity.ts';
import { type Lock, lockDatabase } from './lock.ts';
import { reserveFile } from './reserve.ts';
import { startOfRetention } from './retention-clock.ts';
import type { UpkeepEntry } from './dry-runs.ts';
import { Store } from './store.ts';
import { WriterClient } from './writer-client.ts';
import type { WriterOptions } from './writer.ts';

/** The options of a replica. */
export interface ReplicaOptions {
  /** The database, as the operator names it. */
  readonly file: string;
  readonly retention: Retention;
  /** Whether a copy of a database of an older version is kept before it is migrated. */
  readonly keepsCopy: boolean;
  /** Whether retention follows the clock even if the newest message is of another time. */
  readonly trustsClock?: boolean;
  readonly logger: Logger;
  /** Returns milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Changes the database before anything reads it, on a connection that may write. */
  readonly prepare: (database: Database) => void;
  /** Called when this process can never write the log again: it must end. */
  readonly onFatal: (error: Error) => void;
  /** Whether this process gives the order: then what retention removes is removed at once. */
  readonly isLocal: boolean;
}

/** The writing side of a replica. */
export interface ReplicaWriter {
  /** Why nothing is written now, in words fit for a client; `undefined` while it is. */
  readonly closed: string | undefined;
  /** Messages that expired or that retention removed since the start. */
  readonly purged: number;
  apply(entries: readonly OrderedEntry[]): Promise<Applied | LogUnavailable>;
  /** Has upkeep propose to the order of a cluster what this retention removes, or nothing. */
  retain(retention: Retention | undefined): void;
  /** Notes that a purge that upkeep proposed may never come back. */
  unproposed(origin: string): void;
  /** Tries a commit that changes nothing. @throws {LogUnavailable} if it fails */
  probe(): Promise<void>;
  close(): Promise<void>;
}

/** The parts of a replica. */
export interface ReplicaParts {
  /** A connection that cannot write. */
  readonly database: Database;
  readonly writer: ReplicaWriter;
  /** The database, without links. */
  readonly file: string;
}

/** A node of a cluster is checked each day: its database is one of several copies that have to be the same. */
const DAY_MILLISECONDS = 24 * 3_600_000;

const DAMAGED = 'the log is damaged; its operator has to restore a backup';

/**
 * This node's copy of the log in a SQLite database. Writes are in the order of the calls of `apply`, by one thread. Reads
 * are on the calling thread, through a connection that cannot write.
 */
export class Replica {
  /** For reading. */
  readonly database: Database;
  readonly store: Store;
  readonly conversations: Conversations;
  /** Called when the log is written again after it was not, with the highest id given. */
  onReopened: (head: number) => void = () => undefined;
  /** Called when upkeep proposes an entry to the order of a cluster. */
  onProposed: (entry: UpkeepEntry) => void = () => undefined;
  readonly #writer: ReplicaWriter;
  readonly #file: string;
  #logTime: number;
  /** Messages that entries of a cluster have removed. */
  #purged = 0;
  #isDamaged = false;
  #lock: Lock | undefined;
  #endCheck: (() => Promise<void>) | undefined;

  constructor({ database, writer, file }: ReplicaParts) {
    this.database = database;
    this.#writer = writer;
    this.#file = file;
    this.store = new Store(database);
    this.conversations = new Conversations(database, this.store);
    this.#logTime = this.store.position().logTime;
  }

  /**
   * Opens the replica: makes the database if it is missing, and takes it for this process alone.
   *
   * @throws {StartError} a line for the person who starts the service
   */
  static async open(options: ReplicaOptions): Promise<Replica> {
    const { file: name, logger, retention } = options;
    const file = explain(name, () => realFile(name));
    const lock = lockDatabase(file);
    const writer = new WriterClient(logger);
    let database: Database | undefined;
    try {
      makeReady(file, options.prepare, options);
      const reader = explain(file, () => openForReading(file));
      database = reader;
      const retentionFrom = explain(file, () => startOfRetention(reader, options));
      const replica = explain(file, () => new Replica({ database: reader, writer, file }));
      const workerData: WriterOptions = { name, file, retention, retentionFrom, isLocal: options.isLocal };
      const worker = new Worker(new URL('./writer-thread.js', import.meta.url), { workerData });
      const opened = writer.open(worker, {
        onFatal: options.onFatal,
        onReopened: (head) => replica.onReopened(head),
        onProposed: (entry) => replica.onProposed(entry),
        onUpkeep: (logTime) => (replica.#logTime = logTime),
      });
      await opened.catch((error: unknown) => {
        throw startErrorOf(file, error);
      });
      replica.#lock = lock;
      replica.#startCheck(options);
      warnIfReadByAll(file, logger);
      return replica;
    } catch (error) {
      await writer.terminate();
      database?.close();
      lock.release();
      throw error;
    }
  }

  /** The time of the newest entry that changed something, in milliseconds since the Unix epoch; 0 before the first. */
  get logTime(): number {
    return this.#logTime;
  }

  /** Why nothing is written now, in words fit for a client; `undefined` while it is. */
  get refusing(): string | undefined {
    return this.#isDamaged ? DAMAGED : this.#writer.closed;
  }

  /** Messages that expired or that retention removed since the start. */
  get purged(): number {
    return this.#purged + this.#writer.purged;
  }

  /**
   * Has upkeep propose to the order of a cluster what this retention removes; nothing without an argument. If a proposal
   * fails, `unproposed` must be called.
   */
  retain(retention?: Retention): void {
    this.#writer.retain(retention);
  }

  /** Notes that the purge with this origin, which upkeep proposed, may never come back. */
  unproposed(origin: string): void {
    this.#writer.unproposed(origin);
  }

  /**
   * Applies entries in one transaction. Transactions are in the order of the calls.
   *
   * @returns their outcomes, once they are on disk; or the reason why none was applied, or may not have been
   */
  apply(entries: readonly OrderedEntry[]): Promise<Applied | LogUnavailable> {
    if (this.#isDamaged) return Promise.resolve(new LogUnavailable(DAMAGED));
    return this.#writer.apply(entries).then((applied) => {
      if (applied instanceof LogUnavailable) return applied;
      const newest = applied.outcomes.findLastIndex(changedSomething);
      this.#logTime = entries[newest]?.time ?? this.#logTime;
      for (const outcome of applied.outcomes) if (outcome.kind === 'purge') this.#purged += outcome.messages;
      return applied;
    });
  }

  /** Tries to write and read. @throws {LogUnavailable} if that fails */
  async probe(): Promise<void> {
    if (this.#isDamaged) throw new LogUnavailable(DAMAGED);
    await this.#writer.probe();
    this.store.head();
  }

  /** Looks at the files. @throws the error of the file system if they cannot be looked at */
  files(): Promise<LogFiles> {
    return measureFiles(this.#file);
  }

  /** Checkpoints the write-ahead log and closes the database: nothing can be read any more. */
  async close(): Promise<void> {
    await this.#endCheck?.();
    this.database.close();
    await this.#writer.close();
    this.#lock?.release();
  }

  #startCheck({ logger, isLocal }: ReplicaOptions): void {
    const remedy = isLocal ? 'restore a backup' : 'start this node with an empty one';
    const damaged = (fault: string): void => {
      logger.fatal({ fault }, `the database is corrupt: publishes are refused; ${remedy}`);
      this.#isDamaged = true;
    };
    const again = isLocal ? undefined : DAY_MILLISECONDS;
    this.#endCheck = startIntegrityCheck(this.#file, logger, damaged, {
      ...CHECK_LIMITS,
      againMilliseconds: again,
    });
  }
}

function warnIfReadByAll(file: string, logger: Logger): void {
  const files = [file, `${file}-wal`, reserveFile(file)].filter((each) => isReadByAll(each));
  if (files.length === 0) return;
  logger.warn(
    { files },
    'all users of this machine can read the log: chmod o-r these files, or their folder',
  );
}
