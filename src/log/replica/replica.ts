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
  /** The path of the database, as the operator gave it. */
  readonly file: string;
  readonly retention: Retention;
  /** Whether to keep a copy of a database of an older version before it is migrated. */
  readonly keepsCopy: boolean;
  /** Whether retention trusts the clock even if the newest message is from a very different time. */
  readonly trustsClock?: boolean;
  readonly logger: Logger;
  /** Returns milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Changes the database before anything reads it, on a connection that may write. */
  readonly prepare: (database: Database) => void;
  /** Called when this process can never write the log again and must end. */
  readonly onFatal: (error: Error) => void;
  /** Whether this process decides the order. Then retention removes messages at once, without a proposal. */
  readonly isLocal: boolean;
}

/** The writing side of a replica. */
export interface ReplicaWriter {
  /** Why nothing is written now, in words fit for a client; `undefined` while it is. */
  readonly closed: string | undefined;
  /** The number of messages removed since the start, because they expired or by retention. */
  readonly purged: number;
  apply(entries: readonly OrderedEntry[]): Promise<Applied | LogUnavailable>;
  /** Makes upkeep propose what this retention removes to the order of a cluster, or nothing if it is `undefined`. */
  retain(retention: Retention | undefined): void;
  /** Notes that a purge proposed by upkeep may never come back. */
  unproposed(origin: string): void;
  /** Tries to write and read. @throws {LogUnavailable} if it fails */
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

/** The database of a cluster's node is checked every day, since it is one of several copies that must be the same. */
const DAY_MILLISECONDS = 24 * 3_600_000;

const DAMAGED = 'the log is damaged; its operator must restore a backup';

/**
 * This node's copy of the log, in a SQLite database. One thread writes, in the order of the calls of `apply`. Reads run
 * on the calling thread, through a read-only connection.
 */
export class Replica {
  /** A connection for reading. */
  readonly database: Database;
  readonly store: Store;
  readonly conversations: Conversations;
  /** Called with the highest assigned id when the log can be written again. */
  onReopened: (head: number) => void = () => undefined;
  /** Called when upkeep proposes an entry to the order of a cluster. */
  onProposed: (entry: UpkeepEntry) => void = () => undefined;
  readonly #writer: ReplicaWriter;
  readonly #file: string;
  #logTime: number;
  /** The number of messages removed by entries of a cluster. */
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
   * Opens the replica: creates the database if it is missing, and locks it for this process.
   *
   * @throws {StartError} with a line for the person who starts the service
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

  /** The number of messages removed since the start, because they expired or by retention. */
  get purged(): number {
    return this.#purged + this.#writer.purged;
  }

  /**
   * Makes upkeep propose what this retention removes to the order of a cluster; nothing without an argument. Call
   * `unproposed` if a proposal fails.
   */
  retain(retention?: Retention): void {
    this.#writer.retain(retention);
  }

  /** Notes that the purge with this origin, proposed by upkeep, may never come back. */
  unproposed(origin: string): void {
    this.#writer.unproposed(origin);
  }

  /**
   * Applies entries in one transaction. Calls are applied in order.
   *
   * @returns the outcomes, once they are on disk; or the reason why the entries were not, or may not have been, applied
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

  /** Returns the sizes of the files. @throws the error of the file system if they cannot be read */
  files(): Promise<LogFiles> {
    return measureFiles(this.#file);
  }

  /** Checkpoints the write-ahead log and closes the database. Afterwards nothing can be read. */
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
