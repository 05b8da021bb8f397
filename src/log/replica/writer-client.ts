import type { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { Applied, OrderedEntry } from '../entry.ts';
import { LogUnavailable, LogUnreadable } from '../message-log.ts';
import type { Retention } from '../retention.ts';
import type { UpkeepEntry } from './dry-runs.ts';
import { packEntry, unpackApplied } from './packed-entry.ts';
import type { WriterReply, WriterRequest } from './writer-thread.ts';

/** The reason why nothing is written after the thread has ended. */
const GONE = 'LOG_GONE: the writer thread has ended';

const UNREADABLE = 'the log cannot be read';

/** The reasons given to clients, by SQLite's error code. No path and no SQL leaves the process. */
const CLIENT_WORDS: readonly [RegExp, string][] = [
  [/^(SQLITE_FULL|LOG_FULL)/, 'the disk of the log is full'],
  [/^LOG_MOVED/, 'the files of the log were moved, removed or replaced'],
  [/^SQLITE_(READONLY|PERM)/, 'the log is read-only'],
  [/^SQLITE_(BUSY|LOCKED)/, 'the log is locked by another program'],
  // SQLite reports disk errors as damage too.
  [/^SQLITE_(CORRUPT|NOTADB|IOERR_((SHORT_)?READ|CORRUPTFS))/, UNREADABLE],
];

/** Failures no further apart than this, such as from a damaged page, count as one. */
const QUIET_MILLISECONDS = 10_000;

/** Events of the writer thread, besides its replies. */
export interface WriterEvents {
  /** Called once if the thread ends by itself after it has opened: nothing more can be stored. */
  onFatal(error: Error): void;
  /** Called when the log can be written again. @param head the highest assigned id */
  onReopened(head: number): void;
  /**
   * Called when upkeep has applied entries.
   *
   * @param logTime the time of the newest, in milliseconds since the Unix epoch
   */
  onUpkeep(logTime: number): void;
  /** Called when upkeep proposes an entry to the order of a cluster. */
  onProposed(entry: UpkeepEntry): void;
}

/** The main thread's side of the writer thread, which answers requests in order. */
export class WriterClient {
  /** The number of messages removed since the start, because they expired or by retention. */
  purged = 0;
  readonly #logger: Logger;
  #worker: Worker | undefined;
  #events: WriterEvents | undefined;
  /** The callers of `apply`, in order. */
  readonly #applying: ((outcome: Applied | LogUnavailable) => void)[] = [];
  #probing: Promise<LogUnavailable | undefined> | undefined;
  #settleProbe: ((outcome: LogUnavailable | undefined) => void) | undefined;
  /** The thread's reason why nothing is written; `undefined` while the log is written. */
  #closed: string | undefined;
  /** The `performance.now()` of the last failed write; `undefined` once it is logged that writes work again. */
  #failedAt: number | undefined;
  #unreadable = false;
  #closing = false;
  /** Whether the thread has ended, so that it cannot answer. */
  #isGone = false;
  #exited: Promise<unknown> = Promise.resolve();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * Attaches to the thread, and waits until it has opened the database. Call it once, before any other method.
   *
   * @param worker the thread, just created, so that none of its messages is missed
   * @param events called from now on
   * @throws {Error} the thread's error if it cannot open the database
   */
  open(worker: Worker, events: WriterEvents): Promise<void> {
    this.#worker = worker;
    this.#events = events;
    this.#exited = new Promise((resolve) => worker.once('exit', resolve));
    return new Promise((resolve, reject) => {
      let isOpen = false;
      worker.on('message', (reply: WriterReply) => {
        if (!isOpen && 'kind' in reply && reply.kind === 'open') {
          isOpen = true;
          resolve();
        } else {
          this.#handle(reply);
        }
      });
      const end = (error: Error): void => {
        // Before the thread has opened, the rejected promise reports the failure.
        if (isOpen && !this.#isGone) events.onFatal(error);
        reject(error);
        this.#end();
      };
      worker.once('error', end);
      worker.once('exit', (code) => {
        if (this.#closing) this.#end();
        else end(new Error(`the writer thread ended by itself, with code ${code}`));
      });
    });
  }

  /** The reason why nothing is written, in words fit for a client; `undefined` while the log is written. */
  get closed(): string | undefined {
    return this.#closed === undefined ? undefined : wordsFor(this.#closed);
  }

  /**
   * Applies entries in one transaction. Calls are applied in order.
   *
   * @returns the outcomes, once they are on disk; or the reason why the entries were not, or may not have been, applied
   */
  apply(entries: readonly OrderedEntry[]): Promise<Applied | LogUnavailable> {
    if (this.#isGone) return Promise.resolve(gone(false));
    return new Promise((resolve) => {
      this.#send(entries.map(packEntry));
      this.#applying.push(resolve);
    });
  }

  retain(retention: Retention | undefined): void {
    this.#send({ kind: 'retain', retention });
  }

  unproposed(origin: string): void {
    this.#send({ kind: 'unproposed', origin });
  }

  /** Tries to write and read. Calls made during a trial share it. @throws {LogUnavailable} if it fails */
  async probe(): Promise<void> {
    if (this.#isGone) throw gone(false);
    this.#probing ??= new Promise((resolve) => {
      this.#settleProbe = resolve;
      this.#send({ kind: 'probe' });
    });
    const failure = await this.#probing;
    if (failure !== undefined) throw failure;
  }

  /** Ends the thread after it has answered all requests. Does nothing if it has already ended. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#send({ kind: 'close' });
    await this.#exited;
  }

  /** Ends the thread at once, after a failed start. Does nothing if there is no thread yet. */
  async terminate(): Promise<void> {
    this.#closing = true;
    await this.#worker?.terminate();
  }

  /** Settles all requests that the thread will never answer. */
  #end(): void {
    this.#isGone = true;
    this.#closed = GONE;
    for (const settle of this.#applying.splice(0)) settle(gone(true));
    this.#endProbe(gone(false));
  }

  #send(request: WriterRequest): void {
    this.#worker?.postMessage(request);
  }

  #handle(reply: WriterReply): void {
    if (!('kind' in reply)) {
      this.#succeeded();
      this.#applying.shift()?.(unpackApplied(reply));
      return;
    }
    switch (reply.kind) {
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
        if (reply.request === 'apply') this.#applying.shift()?.(failure);
        else this.#endProbe(failure);
        break;
      }
      case 'gate':
        this.#closed = reply.closed;
        if (reply.closed !== undefined) {
          this.#failed(reply.closed);
        } else {
          this.#writes();
          this.#events?.onReopened(reply.head);
        }
        break;
      case 'upkeep':
        this.#events?.onUpkeep(reply.logTime);
        if (reply.purged === 0) break;
        this.purged += reply.purged;
        this.#logger.debug({ messages: reply.purged }, 'purged');
        break;
      case 'propose':
        this.#events?.onProposed(reply.entry);
        break;
      case 'open':
        break;
    }
  }

  #endProbe(outcome: LogUnavailable | undefined): void {
    this.#settleProbe?.(outcome);
    this.#probing = undefined;
  }

  /** Logs the first of many failures: a full disk must not fill the service's log too. @returns an error for clients */
  #failed(reason: string, mayBeStored = false): LogUnavailable {
    if (this.#failedAt === undefined)
      this.#logger.error({ reason }, 'the log cannot be written: publishes are refused until it can');
    this.#failedAt = performance.now();
    return new LogUnavailable(wordsFor(reason), { mayBeStored });
  }

  /** Logs a failed probe. Only a probe notices that the log cannot be read. @returns an error for clients */
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

function gone(mayBeStored: boolean): LogUnavailable {
  return new LogUnavailable(wordsFor(GONE), { mayBeStored });
}

function wordsFor(reason: string): string {
  return CLIENT_WORDS.find(([code]) => code.test(reason))?.[1] ?? 'the log cannot be written';
}
