import type { Logger } from 'pino';
import type { FairScheduler } from '../fair-scheduler.ts';
import type { SubscriptionRef } from '../log/push-store.ts';
import { runAsTask } from './run-as-task.ts';

/** Subscriptions in one page, which takes about a millisecond to read. */
const PAGE = 200;

/** The pause before a scan is repeated because the log could not be read. */
const RETRY_MILLISECONDS = 5000;

/** Reads a page of subscriptions: those after an id, at most `limit`. */
export type ReadPage = (after: number, limit: number) => readonly SubscriptionRef[];

/** A scanner of subscriptions. It reads page by page, as a task: one recipient may have very many. */
export class SubscriptionScanner {
  readonly #scheduler: FairScheduler;
  readonly #logger: Logger;
  readonly #onFound: (subscription: SubscriptionRef) => void;
  /** The running scans by key, and whether to repeat each when it ends. */
  readonly #repeats = new Map<string, boolean>();
  readonly #retries = new Set<NodeJS.Timeout>();
  #stopped = false;

  /** @param onFound called for each subscription */
  constructor(scheduler: FairScheduler, logger: Logger, onFound: (subscription: SubscriptionRef) => void) {
    this.#scheduler = scheduler;
    this.#logger = logger;
    this.#onFound = onFound;
  }

  /** Scans subscriptions once. If a scan with this key is running, it is repeated once when it ends. */
  scan(key: string, read: ReadPage): void {
    const isRunning = this.#repeats.has(key);
    this.#repeats.set(key, isRunning);
    if (!isRunning) void this.#run(key, read);
  }

  /** Stops all scans, including those that wait for a retry: no further page is read. */
  stop(): void {
    this.#stopped = true;
    for (const retry of this.#retries) clearTimeout(retry);
  }

  async #run(key: string, read: ReadPage): Promise<void> {
    try {
      do {
        this.#repeats.set(key, false);
        await runAsTask(this.#scheduler, this.#readPages(read));
      } while (this.#repeats.get(key) === true);
      this.#repeats.delete(key);
    } catch (error) {
      if (this.#stopped) return;
      this.#logger.error(
        { err: error },
        'subscriptions to notifications cannot be looked up: trying again in 5 s',
      );
      const retry = setTimeout(() => {
        this.#retries.delete(retry);
        void this.#run(key, read);
      }, RETRY_MILLISECONDS);
      this.#retries.add(retry.unref());
    }
  }

  *#readPages(read: ReadPage): Generator<undefined, void> {
    for (let after = 0; !this.#stopped;) {
      const page = read(after, PAGE);
      for (const subscription of page) this.#onFound(subscription);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last.id;
      yield;
    }
  }
}
