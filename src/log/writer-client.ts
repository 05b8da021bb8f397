import type { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { Draft } from '../message.ts';
import { LogUnavailable, LogUnreadable } from './message-log.ts';
import { packDrafts } from './packed-drafts.ts';
import type { PushChange, PushEntry } from './push-store.ts';
import type { Appended } from './writer.ts';
import type { WriterReply, WriterRequest } from './writer-thread.ts';

const UNREADABLE = 'the log cannot be read';

/** What a client is told for a SQLite error code: no path and no SQL leaves the process. */
const CLIENT_WORDS: readonly [RegExp, string][] = [
  [/^(SQLITE_FULL|LOG_FULL)/, 'the disk of the log is full'],
  [/^LOG_MOVED/, 'the files of the log were moved, removed or replaced'],
  [/^SQLITE_(READONLY|PERM)/, 'the log is read-only'],
  [/^SQLITE_(BUSY|LOCKED)/, 'the log is locked by another program'],
  // Of an error of the disk, too, SQLite says that it is damage.
  [/^SQLITE_(CORRUPT|NOTADB|IOERR_((SHORT_)?READ|CORRUPTFS))/, UNREADABLE],
];

/** Failures that come one by one, as those of a damaged page, are one trouble while they are no further apart. */
const QUIET_MILLISECONDS = 10_000;

/** What is told of the writer, besides the answers. */
export interface WriterEvents {
  /** The thread has ended by itself: nothing can be stored any more. */
  onFatal(error: Error): void;
  /** The log is written again. @param head the highest id given */
  onReopened(head: number): void;
}

/** Changes of subscriptions that wait for the thread, and who waits for them. */
interface WaitingPush {
  readonly entries: readonly PushEntry[];
  readonly settle: (outcome: readonly PushChange[] | LogUnavailable) => void;
}

/** Entries in one transaction at most, unless one call has more. */
const GROUP_ENTRIES = 500;

/**
 * The main thread's side of the writer thread: one append, one probe and one group of other changes at a time, so that
 * an append waits for one transaction of another kind at most.
 */
export class WriterClient {
  /** Settles when the writer has opened the database. */
  readonly opened: Promise<void>;
  /** Messages that retention took since the start. */
  purged = 0;
  readonly #worker: Worker;
  readonly #logger: Logger;
  readonly #events: WriterEvents;
  #settleAppend: ((outcome: Appended | LogUnavailable) => void) | undefined;
  /** Changes that the thread is making now, and those for the transactions after it. */
  #pushing: readonly WaitingPush[] = [];
  #waitingPushes: WaitingPush[] = [];
  #probing: Promise<LogUnavailable | undefined> | undefined;
  #settleProbe: ((outcome: LogUnavailable | undefined) => void) | undefined;
  /** Why nothing is written, as the thread says; `undefined` while it is. */
  #closed: string | undefined;
  /** When a write failed last, on the clock of `performance.now()`, until it was said that they work again. */
  #failedAt: number | undefined;
  #unreadable = false;
  #closing = false;

  constructor(worker: Worker, logger: Logger, events: WriterEvents) {
    this.#events = events;
    this.#worker = worker;
    this.#logger = logger;
    this.opened = new Promise((resolve, reject) => {
      worker.on('message', (reply: WriterReply) => {
        if (reply.kind === 'open') resolve();
        else this.#handle(reply);
      });
      worker.once('error', (error) => {
        reject(error);
        events.onFatal(error);
      });
      worker.once('exit', (code) => {
        if (!this.#closing) events.onFatal(new Error(`the writer thread ended by itself, with code ${code}`));
      });
    });
  }

  /** Why nothing is written now, in words fit for a client; `undefined` while it is. */
  get closed(): string | undefined {
    return this.#closed === undefined ? undefined : wordsFor(this.#closed);
  }

  /**
   * Stores batches in one transaction. Only one call at a time.
   *
   * @returns what became of each batch, once it is on disk; or why none was stored
   */
  append(batches: readonly (readonly Draft[])[]): Promise<Appended | LogUnavailable> {
    return new Promise((resolve) => {
      this.#settleAppend = resolve;
      this.#send({ kind: 'append', batches: packDrafts(batches) });
    });
  }

  /**
   * Changes subscriptions to notifications. The entries are in one transaction, with those of other calls.
   *
   * @returns what each entry changed, once it is on disk
   * @throws {LogUnavailable} if nothing was changed, or that is not known
   */
  async applyPush(entries: readonly PushEntry[]): Promise<readonly PushChange[]> {
    const outcome = await new Promise<readonly PushChange[] | LogUnavailable>((settle) => {
      this.#waitingPushes.push({ entries, settle });
      if (this.#pushing.length === 0) this.#sendPushes();
    });
    if (outcome instanceof LogUnavailable) throw outcome;
    return outcome;
  }

  /** Tries a commit that changes nothing; calls while one is under way share it. @throws {LogUnavailable} */
  async probe(): Promise<void> {
    this.#probing ??= new Promise((resolve) => {
      this.#settleProbe = resolve;
      this.#send({ kind: 'probe' });
    });
    const failure = await this.#probing;
    if (failure !== undefined) throw failure;
  }

  /** Ends the thread when all that was asked is done. */
  async close(): Promise<void> {
    this.#closing = true;
    const ended = new Promise((resolve) => this.#worker.once('exit', resolve));
    this.#send({ kind: 'close' });
    await ended;
  }

  #sendPushes(): void {
    let count = 0;
    const end = this.#waitingPushes.findIndex(({ entries }) => (count += entries.length) > GROUP_ENTRIES);
    this.#pushing = this.#waitingPushes.splice(0, end === -1 ? this.#waitingPushes.length : Math.max(end, 1));
    if (this.#pushing.length === 0) return;
    this.#send({ kind: 'push', entries: this.#pushing.flatMap(({ entries }) => entries) });
  }

  #settlePushes(outcome: readonly PushChange[] | LogUnavailable): void {
    const pushed = this.#pushing;
    this.#sendPushes();
    let from = 0;
    for (const { entries, settle } of pushed) {
      settle(outcome instanceof LogUnavailable ? outcome : outcome.slice(from, from + entries.length));
      from += entries.length;
    }
  }

  #send(request: WriterRequest): void {
    this.#worker.postMessage(request);
  }

  #handle(reply: WriterReply): void {
    switch (reply.kind) {
      case 'appended':
        this.#succeeded();
        this.#settleAppend?.(reply);
        break;
      case 'pushed':
        this.#succeeded();
        this.#settlePushes(reply.changes);
        break;
      case 'probed':
        this.#succeeded();
        if (this.#unreadable) this.#logger.info('the log can be read again');
        this.#unreadable = false;
        this.#endProbe(undefined);
        break;
      case 'failed': {
        if (reply.request === 'upkeep') {
          this.#logger.warn(
            { reason: reply.reason },
            'retention and conversations wait until the log can be written',
          );
          break;
        }
        const failure =
          reply.request === 'probe'
            ? this.#probeFailed(reply.reason)
            : this.#failed(reply.reason, reply.mayBeStored);
        if (reply.request === 'append') this.#settleAppend?.(failure);
        else if (reply.request === 'push') this.#settlePushes(failure);
        else this.#endProbe(failure);
        break;
      }
      case 'gate':
        this.#closed = reply.closed;
        if (reply.closed !== undefined) {
          this.#failed(reply.closed);
        } else {
          this.#writes();
          this.#events.onReopened(reply.head);
        }
        break;
      case 'purged':
        this.purged += reply.messages;
        this.#logger.debug({ messages: reply.messages }, 'purged');
        break;
      case 'open':
        break;
    }
  }

  #endProbe(outcome: LogUnavailable | undefined): void {
    this.#settleProbe?.(outcome);
    this.#probing = undefined;
  }

  /** Said once when it begins and once when it ends: a full disk is not to fill the log of the service too. */
  #failed(reason: string, mayBeStored = false): LogUnavailable {
    if (this.#failedAt === undefined)
      this.#logger.error({ reason }, 'the log cannot be written: publishes are refused until it can');
    this.#failedAt = performance.now();
    return new LogUnavailable(wordsFor(reason), { mayBeStored });
  }

  /** A trial finds out what no publish has met: that the log cannot be read. */
  #probeFailed(reason: string): LogUnavailable {
    const words = wordsFor(reason);
    if (words !== UNREADABLE) return this.#failed(reason);
    if (!this.#unreadable) this.#logger.error({ reason }, words);
    this.#unreadable = true;
    return new LogUnreadable(words);
  }

  #succeeded(): void {
    if (this.#failedAt !== undefined && performance.now() - this.#failedAt > QUIET_MILLISECONDS)
      this.#writes();
  }

  #writes(): void {
    if (this.#failedAt !== undefined) this.#logger.info('the log can be written again');
    this.#failedAt = undefined;
  }
}

function wordsFor(reason: string): string {
  return CLIENT_WORDS.find(([code]) => code.test(reason))?.[1] ?? 'the log cannot be written';
}
