import type { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { Draft } from '../message.ts';
import { LogUnavailable } from './message-log.ts';
import { packDrafts } from './packed-drafts.ts';
import type { PushChange, PushEntry } from './push-store.ts';
import type { Appended } from './writer.ts';
import type { WriterReply, WriterRequest } from './writer-thread.ts';

/** What a client is told for a SQLite error code: no path and no SQL leaves the process. */
const CLIENT_WORDS: readonly [RegExp, string][] = [
  [/^SQLITE_FULL/, 'the disk of the log is full'],
  [/^SQLITE_(READONLY|PERM)/, 'the log is read-only'],
  [/^SQLITE_(BUSY|LOCKED)/, 'the log is locked by another program'],
  [/^SQLITE_(CORRUPT|NOTADB)/, 'the log is damaged'],
];

/** The main thread's side of the writer thread: one append and one probe at a time, any number of other changes. */
export class WriterClient {
  /** Settles when the writer has opened the database. */
  readonly opened: Promise<void>;
  /** Messages that retention took since the start. */
  purged = 0;
  readonly #worker: Worker;
  readonly #logger: Logger;
  #settleAppend: ((outcome: Appended | LogUnavailable) => void) | undefined;
  /** Those who wait for their changes, in the order in which the thread answers. */
  readonly #settlePushes: ((outcome: readonly PushChange[] | LogUnavailable) => void)[] = [];
  #probing: Promise<LogUnavailable | undefined> | undefined;
  #settleProbe: ((outcome: LogUnavailable | undefined) => void) | undefined;
  #failing = false;
  #closing = false;

  /** @param onFatal called when the thread ends by itself: nothing can be stored any more */
  constructor(worker: Worker, logger: Logger, onFatal: (error: Error) => void) {
    this.#worker = worker;
    this.#logger = logger;
    this.opened = new Promise((resolve, reject) => {
      worker.on('message', (reply: WriterReply) => {
        if (reply.kind === 'open') resolve();
        else this.#handle(reply);
      });
      worker.once('error', (error) => {
        reject(error);
        onFatal(error);
      });
      worker.once('exit', (code) => {
        if (!this.#closing) onFatal(new Error(`the writer thread ended by itself, with code ${code}`));
      });
    });
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
   * Changes subscriptions to notifications, in one transaction.
   *
   * @returns what each entry changed, once it is on disk
   * @throws {LogUnavailable} where nothing was changed
   */
  async applyPush(entries: readonly PushEntry[]): Promise<readonly PushChange[]> {
    const outcome = await new Promise<readonly PushChange[] | LogUnavailable>((resolve) => {
      this.#settlePushes.push(resolve);
      this.#send({ kind: 'push', entries });
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
        this.#settlePushes.shift()?.(reply.changes);
        break;
      case 'probed':
        this.#succeeded();
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
        const failure = this.#failed(reply.reason);
        if (reply.request === 'append') this.#settleAppend?.(failure);
        else if (reply.request === 'push') this.#settlePushes.shift()?.(failure);
        else this.#endProbe(failure);
        break;
      }
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

  /** Said once when it begins and once when it is over: a full disk is not to fill the log of the service too. */
  #failed(reason: string): LogUnavailable {
    if (!this.#failing)
      this.#logger.error({ reason }, 'the log cannot be written: publishes are refused until it can');
    this.#failing = true;
    const words = CLIENT_WORDS.find(([code]) => code.test(reason))?.[1] ?? 'the log cannot be written';
    return new LogUnavailable(words);
  }

  #succeeded(): void {
    if (this.#failing) this.#logger.info('the log can be written again');
    this.#failing = false;
  }
}
