import type { Logger } from 'pino';
import type { PushChange, PushStore } from '../log/push-store.ts';

/** Entries are collected for this long and written together: a publish must not wait behind many small writes. */
const GATHER_MILLISECONDS = 200;

/** A failed write is repeated after this time. */
const RETRY_MILLISECONDS = 2000;

/** With this many waiting entries, nothing more is sent: a log that cannot be written must not fill the memory. */
const MAX_WAITING = 5000;

/** The record of sent notifications. A caller that waits for a write sends nothing twice while the process lives. */
export class PushJournal {
  readonly #store: PushStore;
  readonly #logger: Logger;
  #entries: PushChange[] = [];
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing = Promise.resolve();
  #isClosed = false;

  constructor(store: PushStore, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  /** Whether nothing more must be sent until the waiting entries are on disk. */
  get isFull(): boolean {
    return this.#entries.length >= MAX_WAITING;
  }

  /** Records an entry. Settles when the entry is on disk, and waits if the log cannot be written. */
  write(entry: PushChange): Promise<void> {
    this.#entries.push(entry);
    this.#timer ??= this.#flushAfter(GATHER_MILLISECONDS);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Tries once to write the waiting entries. If it fails, the next start repeats their notifications. */
  async close(): Promise<void> {
    await this.#writing;
    this.#isClosed = true;
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    await this.#flush();
  }

  #flushAfter(milliseconds: number): NodeJS.Timeout | undefined {
    if (this.#isClosed) return undefined;
    return setTimeout(() => {
      this.#writing = this.#flush();
    }, milliseconds);
  }

  async #flush(): Promise<void> {
    const [entries, waiting] = [this.#entries, this.#waiting];
    [this.#entries, this.#waiting, this.#timer] = [[], [], undefined];
    try {
      await this.#store.apply(entries);
      for (const resolve of waiting) resolve();
    } catch (error) {
      this.#logger.debug({ err: error }, 'sent notifications cannot be recorded yet');
      this.#entries = [...entries, ...this.#entries];
      this.#waiting = [...waiting, ...this.#waiting];
      clearTimeout(this.#timer);
      this.#timer = this.#flushAfter(RETRY_MILLISECONDS);
    }
  }
}
