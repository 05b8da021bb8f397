import { Worker } from 'node:worker_threads';
import type { Database } from 'better-sqlite3';
import type { Logger } from 'pino';
import { type Draft, isExpired, type Message } from '../message.ts';
import { readBudget } from './budget.ts';
import type { Conversation, ConversationPage, ConversationState, RoomState } from './conversation.ts';
import { Conversations } from './conversations.ts';
import { newTag, parseCursor, Runs } from './cursor.ts';
import { explain, makeReady, openForReading } from './database.ts';
import { measureFiles } from './files.ts';
import { FULL, GroupCommit } from './group-commit.ts';
import { type Lock, lockDatabase } from './lock.ts';
import { type CommitTimes, type ForwardPage, LogUnavailable, type MessageLog } from './message-log.ts';
import type { LogCounts, LogFiles, Start, Stored } from './message-log.ts';
import { isReadByAll, realFile } from './place.ts';
import { PushTable } from './push-table.ts';
import { reserveFile } from './reserve.ts';
import { startOfRetention } from './retention-clock.ts';
import type { RetentionRule } from './retention.ts';
import { type BackPage, type Inboxes, Store, type Take } from './store.ts';
import { startIntegrityCheck } from './integrity.ts';
import type { WriterOptions } from './writer.ts';
import { WriterClient } from './writer-client.ts';

/** What an embedded log is opened with. */
export interface LogOptions {
  /** As the operator names it. */
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

const DAMAGED = 'the log is damaged; its operator has to restore a backup';

/**
 * The log in a SQLite database of this machine. One writer thread gives the order. Reads are on the calling thread,
 * through a connection that cannot write.
 */
export class EmbeddedLog implements MessageLog {
  readonly pushes: PushTable;
  #head: number;
  readonly #options: LogOptions;
  /** The database, without links. */
  readonly #file: string;
  readonly #lock: Lock;
  readonly #database: Database;
  readonly #store: Store;
  readonly #conversations: Conversations;
  readonly #runs: Runs;
  readonly #writer: WriterClient;
  readonly #stopCheck: () => Promise<void>;
  readonly #listeners: ((messages: readonly Message[]) => Promise<void> | void)[] = [];
  readonly #timers: ((times: CommitTimes) => void)[] = [];
  readonly #groups: GroupCommit;
  /** Why nothing is taken any more. */
  #ending: string | undefined;
  #damaged = false;

  private constructor(options: LogOptions, file: string, lock: Lock) {
    this.#options = options;
    this.#file = file;
    this.#lock = lock;
    const database = openForReading(file);
    this.#database = database;
    this.#store = new Store(database);
    this.#conversations = new Conversations(database, this.#store);
    this.#head = this.#store.head();
    const runs = this.#store.runs();
    const tag = newTag();
    this.#runs = new Runs(runs, { firstId: this.#head + 1, tag });
    const { file: name, retention } = options;
    const retentionFrom = startOfRetention(database, options);
    const workerData: WriterOptions = { name, file, tag, retention, retentionFrom };
    const worker = new Worker(new URL('./writer-thread.js', import.meta.url), { workerData });
    this.#writer = new WriterClient(worker, options.logger, {
      onFatal: options.onFatal,
      onReopened: (head) => this.#catchUp(head),
    });
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
    this.#stopCheck = startIntegrityCheck(file, options.logger, (fault) => {
      options.logger.fatal({ fault }, 'the database is corrupt: publishes are refused; restore a backup');
      this.#damaged = true;
      this.#ending = DAMAGED;
    });
  }

  /**
   * Opens the log: makes the database where missing, and takes it for this process alone.
   *
   * @throws {StartError} a line for the person who starts the service
   */
  static async open(options: LogOptions): Promise<EmbeddedLog> {
    const { file: name, logger } = options;
    const file = explain(name, () => realFile(name));
    const lock = lockDatabase(file);
    try {
      makeReady(file);
      const log = explain(file, () => new EmbeddedLog(options, file, lock));
      await log.#writer.opened;
      const files = [file, `${file}-wal`, reserveFile(file)].filter((each) => isReadByAll(each));
      if (files.length > 0) {
        logger.warn(
          { files },
          'all users of this machine can read the log: chmod o-r these files, or their folder',
        );
      }
      return log;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  get head(): number {
    return this.#head;
  }

  get refusing(): string | undefined {
    return this.#ending ?? this.#writer.closed;
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
    const { refusing } = this;
    if (refusing !== undefined) return Promise.reject(new LogUnavailable(refusing));
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

  conversation(address: string, peer: string): ConversationState<Conversation> {
    return this.#conversations.ofPair(address, peer, this.#head, this.#options.now());
  }

  room(reader: string, room: string): ConversationState<RoomState> {
    return this.#conversations.ofRoom(reader, room, this.#head, this.#options.now());
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
    return measureFiles(this.#file);
  }

  async probe(): Promise<void> {
    const { refusing } = this;
    if (refusing !== undefined) throw new LogUnavailable(refusing);
    await this.#writer.probe();
    this.#store.head();
  }

  async seal(): Promise<void> {
    this.#ending = 'the service is shutting down';
    await this.#groups.idle();
  }

  async close(): Promise<void> {
    await this.seal();
    await this.#stopCheck();
    this.#database.close();
    await this.#writer.close();
    this.#lock.release();
  }

  /**
   * Hands on what was stored and could not be acknowledged, since the log was moved away in that instant. Nothing is done
   * if there is no such thing.
   *
   * @param head the highest id in the database; all up to the last acknowledged one was handed on
   */
  #catchUp(head: number): void {
    while (this.#head < head) {
      const missed: Message[] = [];
      const take: Take = (message) => missed.push(message) > 0;
      const { through, more } = this.#store.readAfter(
        ['*'],
        this.#head,
        head,
        LOOK_AT,
        this.#options.now(),
        take,
      );
      void this.#dispatch(missed);
      this.#head = more ? through : head;
    }
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
