import { Worker } from 'node:worker_threads';
import type { Database } from 'better-sqlite3';
import type { Logger } from 'pino';
import { type Draft, isExpired, type Message } from '../message.ts';
import { Budget } from './budget.ts';
import { type Conversation, type ConversationPage, Conversations } from './conversations.ts';
import { newTag, parseCursor, Runs } from './cursor.ts';
import { explain, openForReading, openForWriting } from './database.ts';
import { measureFiles } from './files.ts';
import { FULL, GroupCommit } from './group-commit.ts';
import { type Lock, lockDatabase } from './lock.ts';
import { type CommitTimes, type ForwardPage, LogUnavailable, type MessageLog } from './message-log.ts';
import type { LogCounts, LogFiles, Start, Stored } from './message-log.ts';
import { PushTable } from './push-table.ts';
import { startOfRetention } from './retention-clock.ts';
import type { RetentionRule } from './retention.ts';
import { type BackPage, type Inboxes, Store, type Take } from './store.ts';
import { startIntegrityCheck } from './integrity.ts';
import { WriterClient } from './writer-client.ts';

/** What an embedded log is opened with. */
export interface LogOptions {
  readonly file: string;
  readonly retention: RetentionRule;
  /** Whether retention goes by the clock even if the newest message is of another time. */
  readonly trustsClock?: boolean;
  readonly logger: Logger;
  /** Milliseconds since the Unix epoch, now. */
  readonly now: () => number;
  /** Called when the log can never be written again by this process: it must end. */
  readonly onFatal: (error: Error) => void;
}

/** Looked at in one read where little is sought: much of it may have expired. */
const LOOK_AT = 500;

/** A page is read on the thread that serves all sockets: past this time it ends, and there is another one. */
const READ_MILLISECONDS = 8;

/** ... but not before so many rows, about three milliseconds: on a busy machine a small page would end early. */
const READ_ROWS = 5000;

const ENDING = 'the service is shutting down';
const DAMAGED = 'the log is damaged; its operator has to restore a backup';

/**
 * The log in a SQLite database of this machine. One writer thread gives the order. Reads are on the calling thread,
 * through a connection that cannot write.
 */
export class EmbeddedLog implements MessageLog {
  readonly pushes: PushTable;
  #head: number;
  readonly #options: LogOptions;
  readonly #lock: Lock;
  readonly #database: Database;
  readonly #openStore: Store;
  readonly #openConversations: Conversations;
  readonly #runs: Runs;
  readonly #writer: WriterClient;
  readonly #stopCheck: () => Promise<void>;
  readonly #listeners: ((messages: readonly Message[]) => Promise<void> | void)[] = [];
  readonly #timers: ((times: CommitTimes) => void)[] = [];
  readonly #groups: GroupCommit;
  /** Why nothing is taken any more. */
  #refusing: string | undefined;
  #damaged = false;

  private constructor(options: LogOptions, lock: Lock, database: Database, worker: (tag: string) => Worker) {
    this.#options = options;
    this.#lock = lock;
    this.#database = database;
    this.#openStore = new Store(database);
    this.#openConversations = new Conversations(database, this.#store);
    this.#head = this.#store.head();
    const runs = this.#store.runs();
    const tag = newTag();
    this.#runs = new Runs(runs, { firstId: this.#head + 1, tag });
    this.#writer = new WriterClient(worker(tag), options.logger, options.onFatal);
    this.pushes = new PushTable({
      database,
      conversations: this.#conversations,
      now: options.now,
      head: () => this.#head,
      apply: (entries) => {
        // While the log is being closed, what was notified is still written down.
        if (this.#damaged) return Promise.reject(new LogUnavailable(DAMAGED));
        return this.#writer.applyPush(entries);
      },
    });
    this.#groups = new GroupCommit(this.#writer, {
      onStored: (fresh) => this.#dispatch(fresh),
      onTimed: (times) => {
        for (const timer of this.#timers) timer(times);
      },
    });
    this.#stopCheck = startIntegrityCheck(options.file, options.logger, (fault) => {
      options.logger.fatal({ fault }, 'the database is corrupt: publishes are refused; restore a backup');
      this.#damaged = true;
      this.#refusing = DAMAGED;
    });
  }

  /**
   * Opens the log: makes the database where missing, and takes it for this process alone.
   *
   * @throws {StartError} a line for the person who starts the service
   */
  static async open(options: LogOptions): Promise<EmbeddedLog> {
    const { file, retention } = options;
    const lock = lockDatabase(file);
    try {
      openForWriting(file).close();
      const log = explain(file, () => {
        const database = openForReading(file);
        const retentionFrom = startOfRetention(database, options);
        const workerFor = (tag: string): Worker =>
          new Worker(new URL('./writer-thread.js', import.meta.url), {
            workerData: { file, tag, retention, retentionFrom },
          });
        return new EmbeddedLog(options, lock, database, workerFor);
      });
      await log.#writer.opened;
      return log;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  get head(): number {
    return this.#head;
  }

  cursor(id: number): string {
    return this.#runs.format(id);
  }

  locate(text: string, inboxes: Inboxes): Start {
    const cursor = parseCursor(text);
    const purgedThrough = this.#store.purgedThrough(inboxes);
    if (cursor === undefined) return { after: 0, gap: 'unknown', purgedThrough };
    if (!this.#runs.knows(cursor, this.#head)) return { after: 0, gap: 'restored', purgedThrough };
    return { after: cursor.id, gap: purgedThrough > cursor.id ? 'purged' : false, purgedThrough };
  }

  newest(inboxes: Inboxes, count: number): Start {
    let first = this.#head + 1;
    let toFind = count;
    if (count > 0) {
      this.readBack(inboxes, first, Math.max(count, LOOK_AT), ({ id }) => {
        first = id;
        return --toFind > 0;
      });
    }
    return { after: first - 1, gap: false, purgedThrough: this.#store.purgedThrough(inboxes) };
  }

  append(batch: readonly Draft[]): Promise<Stored[]> {
    if (this.#refusing !== undefined) return Promise.reject(new LogUnavailable(this.#refusing));
    return this.#groups.append(batch);
  }

  checkRoom(): void {
    if (this.#groups.isFull) throw new LogUnavailable(FULL);
  }

  message(id: number): Message | undefined {
    return id > this.#head ? undefined : this.#store.message(id, this.#options.now());
  }

  readAfter(inboxes: Inboxes, after: number, limit: number, take: Take): ForwardPage {
    // One snapshot: a purge between the two reads would take messages from the page without a word.
    return this.#store.snapshot(() => ({
      ...this.#store.readAfter(inboxes, after, this.#head, limit, this.#options.now(), take),
      purgedThrough: this.#store.purgedThrough(inboxes),
    }));
  }

  readBack(inboxes: Inboxes, before: number, limit: number, take: Take): BackPage {
    const budget = readBudget();
    let head = Math.min(this.#head, before - 1);
    // On past what has expired.
    for (;;) {
      const page = this.#store.readBack(inboxes, head, limit, this.#options.now(), take);
      const goesOn = !page.full && page.more;
      budget.spend(limit);
      if (!goesOn || budget.isSpent) return { more: page.more, before: page.through };
      head = page.through - 1;
    }
  }

  readConversation(pair: readonly [string, string], before: number, limit: number, take: Take): BackPage {
    const now = this.#options.now();
    return this.#conversations.readBack(pair, before, this.#head, limit, now, take, readBudget());
  }

  conversations(
    address: string,
    before: number,
    limit: number,
    fits: (conversation: Conversation) => boolean,
  ): ConversationPage {
    const bounds = { budget: readBudget(), fits };
    return this.#conversations.list(address, before, this.#head, limit, this.#options.now(), bounds);
  }

  onCommit(listener: (messages: readonly Message[]) => Promise<void> | void): void {
    this.#listeners.push(listener);
  }

  onTimed(timer: (times: CommitTimes) => void): void {
    this.#timers.push(timer);
  }

  get counts(): LogCounts {
    const { stored, repeated, messages, commits, failures } = this.#groups;
    return { stored, repeated, messages, commits, failures, purged: this.#writer.purged };
  }

  files(): Promise<LogFiles> {
    return measureFiles(this.#options.file);
  }

  async probe(): Promise<void> {
    if (this.#refusing !== undefined) throw new LogUnavailable(this.#refusing);
    await this.#writer.probe();
    try {
      this.#store.head();
    } catch (error) {
      this.#options.logger.error({ err: error }, 'the log cannot be read');
      throw new LogUnavailable('the log cannot be read');
    }
  }

  async seal(): Promise<void> {
    this.#refusing = ENDING;
    await this.#groups.idle();
  }

  async close(): Promise<void> {
    await this.seal();
    await this.#stopCheck();
    this.#database.close();
    await this.#writer.close();
    this.#lock.release();
  }

  get #store(): Store {
    this.#checkOpen();
    return this.#openStore;
  }

  get #conversations(): Conversations {
    this.#checkOpen();
    return this.#openConversations;
  }

  /** @throws {LogUnavailable} if the log is closed */
  #checkOpen(): void {
    if (!this.#database.open) throw new LogUnavailable(ENDING);
  }

  /** @returns settles when all listeners are done with it */
  #dispatch(fresh: readonly Message[]): Promise<unknown> {
    this.#head = fresh.at(-1)?.id ?? this.#head;
    const now = this.#options.now();
    const live = fresh.some((message) => message.expiresAt !== null)
      ? fresh.filter((message) => !isExpired(message, now))
      : fresh;
    return Promise.all(this.#listeners.map(async (listener) => listener(live)));
  }
}

function readBudget(): Budget {
  return new Budget(() => performance.now(), READ_MILLISECONDS, READ_ROWS);
}
