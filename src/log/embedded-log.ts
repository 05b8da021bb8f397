import { Worker } from 'node:worker_threads';
import type { Database } from 'better-sqlite3';
import type { Logger } from 'pino';
import { type Draft, isExpired, type Message } from '../message.ts';
import type { AppendResult } from './append.ts';
import { Conversations } from './conversations.ts';
import { newTag, parseCursor, Runs } from './cursor.ts';
import { explain, openForReading, openForWriting } from './database.ts';
import { type Lock, lockDatabase } from './lock.ts';
import { BatchRefused, type ForwardPage, LogUnavailable, type MessageLog } from './message-log.ts';
import type { Start, Stored } from './message-log.ts';
import type { RetentionRule } from './retention.ts';
import { type Inboxes, Store, type Take } from './store.ts';
import { startIntegrityCheck } from './integrity.ts';
import { WriterClient } from './writer-client.ts';

/** What an embedded log is opened with. */
export interface LogOptions {
  readonly file: string;
  readonly retention: RetentionRule;
  readonly logger: Logger;
  /** Milliseconds since the Unix epoch, now. */
  readonly now: () => number;
  /** Called when the log can never be written again by this process: it must end. */
  readonly onFatal: (error: Error) => void;
}

/** The messages that wait are stored in groups of at most this many, so that no one waits for a giant commit. */
const GROUP_MESSAGES = 2048;

/** Past so much content that is not on disk yet (the disk hangs, say), publishes are refused for now. */
const WAITING_BYTES = 64 * 1024 * 1024;
const GROUP_BYTES = 8 * 1024 * 1024;

/** Looked at in one read where little is sought: much of it may have expired. */
const LOOK_AT = 500;

interface Waiting {
  /** Its content. */
  readonly bytes: number;
  readonly batch: readonly Draft[];
  readonly resolve: (stored: Stored[]) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The log in a SQLite database of this machine. One writer thread gives the order: while it makes one group of batches
 * durable, the next gathers here. Reads are on the calling thread, through a connection that cannot write.
 */
export class EmbeddedLog implements MessageLog {
  #head: number;
  readonly #options: LogOptions;
  readonly #lock: Lock;
  readonly #database: Database;
  readonly #store: Store;
  readonly #conversations: Conversations;
  readonly #runs: Runs;
  readonly #writer: WriterClient;
  readonly #stopCheck: () => Promise<void>;
  readonly #listeners: ((messages: readonly Message[]) => void)[] = [];
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #committing: Promise<void> | undefined;
  /** Why nothing is taken any more. */
  #refusing: string | undefined;

  private constructor(options: LogOptions, lock: Lock, database: Database, worker: (tag: string) => Worker) {
    this.#options = options;
    this.#lock = lock;
    this.#database = database;
    this.#store = new Store(database);
    this.#conversations = new Conversations(database, this.#store);
    this.#head = this.#store.head();
    const runs = this.#store.runs();
    const tag = newTag();
    this.#runs = new Runs(runs, { firstId: this.#head + 1, tag });
    this.#writer = new WriterClient(worker(tag), options.logger, options.onFatal);
    this.#stopCheck = startIntegrityCheck(options.file, options.logger, (fault) => {
      options.logger.fatal({ fault }, 'the database is corrupt: publishes are refused; restore a backup');
      this.#refusing = 'the log is damaged; its operator has to restore a backup';
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
        const workerFor = (tag: string): Worker =>
          new Worker(new URL('./writer-thread.js', import.meta.url), {
            workerData: { file, tag, retention },
          });
        return new EmbeddedLog(options, lock, openForReading(file), workerFor);
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
    if (this.#waitingBytes > WAITING_BYTES) {
      return Promise.reject(new LogUnavailable('too much is waiting to be stored'));
    }
    const bytes = batch.reduce((sum, { content }) => sum + content.length, 0);
    this.#waitingBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, bytes, resolve, reject });
      this.#committing ??= this.#commitWaiting();
    });
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

  readBack(inboxes: Inboxes, before: number, limit: number, take: Take): boolean {
    let head = Math.min(this.#head, before - 1);
    // On past what has expired: a reader that gets nothing could not tell where to go on.
    for (;;) {
      const page = this.#store.readBack(inboxes, head, limit, this.#options.now(), take);
      if (page.full || !page.more) return page.full;
      head = page.through - 1;
    }
  }

  readConversation(pair: readonly [string, string], before: number, limit: number, take: Take): boolean {
    return this.#conversations.readBack(pair, before, this.#head, limit, this.#options.now(), take);
  }

  conversations(address: string, before: number, limit: number): ReturnType<Conversations['list']> {
    return this.#conversations.list(address, before, this.#head, limit, this.#options.now());
  }

  onCommit(listener: (messages: readonly Message[]) => void): void {
    this.#listeners.push(listener);
  }

  async probe(): Promise<void> {
    if (this.#refusing !== undefined) throw new LogUnavailable(this.#refusing);
    await this.#writer.probe();
    this.#store.head();
  }

  async seal(): Promise<void> {
    this.#refusing = 'the service is shutting down';
    await this.#committing;
  }

  async close(): Promise<void> {
    await this.seal();
    await this.#stopCheck();
    this.#database.close();
    await this.#writer.close();
    this.#lock.release();
  }

  /** Commits group after group until nothing waits. */
  async #commitWaiting(): Promise<void> {
    let commit = this.#nextCommit();
    while (commit !== undefined) {
      const { group, results } = commit;
      const outcome = await results;
      // The writer goes on with the next group while this one is fanned out.
      commit = this.#nextCommit();
      this.#settle(group, outcome);
      commit ??= this.#nextCommit();
    }
    this.#committing = undefined;
  }

  #nextCommit():
    { group: Waiting[]; results: Promise<readonly AppendResult[] | LogUnavailable> } | undefined {
    if (this.#waiting.length === 0) return undefined;
    let messages = 0;
    let bytes = 0;
    const end = this.#waiting.findIndex((waiting) => {
      messages += waiting.batch.length;
      bytes += waiting.bytes;
      return messages > GROUP_MESSAGES || bytes > GROUP_BYTES;
    });
    const group = this.#waiting.splice(0, end === -1 ? this.#waiting.length : Math.max(end, 1));
    return { group, results: this.#writer.append(group.map(({ batch }) => batch)) };
  }

  #settle(group: readonly Waiting[], outcome: readonly AppendResult[] | LogUnavailable): void {
    for (const { bytes } of group) this.#waitingBytes -= bytes;
    if (outcome instanceof LogUnavailable) {
      for (const { reject } of group) reject(outcome);
      return;
    }
    const fresh: Message[] = [];
    const answers = group.map(({ batch }, index): Stored[] | BatchRefused => {
      const result = outcome[index] as AppendResult;
      if (!isPlaced(result)) return new BatchRefused(result);
      return batch.map((draft, place) => {
        const placement = result[place] as number | Message;
        if (typeof placement !== 'number') return { message: placement, isNew: false };
        const message = withId(placement, draft);
        fresh.push(message);
        return { message, isNew: true };
      });
    });
    this.#dispatch(fresh);
    for (const [index, answer] of answers.entries()) {
      const { resolve, reject } = group[index] as Waiting;
      if (answer instanceof BatchRefused) reject(answer);
      else resolve(answer);
    }
  }

  #dispatch(fresh: readonly Message[]): void {
    const last = fresh.at(-1);
    if (last === undefined) return;
    this.#head = last.id;
    const now = this.#options.now();
    const live = fresh.some((message) => message.expiresAt !== null)
      ? fresh.filter((message) => !isExpired(message, now))
      : fresh;
    for (const listener of this.#listeners) listener(live);
  }
}

function isPlaced(result: AppendResult): result is Exclude<AppendResult, { fault: unknown }> {
  return Array.isArray(result);
}

/** Written out: a spread of the draft costs the fan-out a fifth of its time, and gives objects of another shape. */
function withId(id: number, draft: Draft): Message {
  return {
    id,
    sender: draft.sender,
    recipient: draft.recipient,
    type: draft.type,
    content: draft.content,
    createdAt: draft.createdAt,
    idempotencyKey: draft.idempotencyKey,
    expiresAt: draft.expiresAt,
  };
}
