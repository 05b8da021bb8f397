import type { Logger } from 'pino';
import type { PushEntry, PushStore } from '../log/push-store.ts';

/** What is handed over is written down together: a publish is not to wait behind many small writes. */
const GATHER_MILLISECONDS = 200;

/** A log that cannot be written is tried again after this. */
const RETRY_MILLISECONDS = 2000;

/** Past so many entries that wait nothing is to be handed over any more: a log that cannot be written fills no memory. */
const MOST_WAITING = 5000;

/** Writes down what was handed over. Who waits for that does not hand the same over again while the process lives. */
export class PushJournal {
  readonly #store: PushStore;
  readonly #logger: Logger;
  #entries: PushEntry[] = [];
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing = Promise.resolve();

  constructor(store: PushStore, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  /** Whether nothing is to be handed over until what waits is on disk. */
  get isFull(): boolean {
    return this.#entries.length >= MOST_WAITING;
  }

  /** Writes an entry down; settles when it is on disk, however long the log cannot be written. */
  write(entry: PushEntry): Promise<void> {
    this.#entries.push(entry);
    this.#timer ??= this.#plan(GATHER_MILLISECONDS);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Writes what waits, once: what then is not on disk is handed over again after the next start. */
  async close(): Promise<void> {
    await this.#writing;
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    await this.#flush();
    clearTimeout(this.#timer);
  }

  #plan(milliseconds: number): NodeJS.Timeout {
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
      this.#logger.debug({ err: error }, 'what was notified cannot be written down yet');
      this.#entries = [...entries, ...this.#entries];
      this.#waiting = [...waiting, ...this.#waiting];
      clearTimeout(this.#timer);
      this.#timer = this.#plan(RETRY_MILLISECONDS);
    }
  }
}
