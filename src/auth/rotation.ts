import { readFile, stat } from 'node:fs/promises';
import type { Logger } from 'pino';

/** A source of keys that is read repeatedly, because others change it. */
export interface Rotating {
  /** The variable that names it, for the log. */
  readonly name: string;
  /** Reads it. @param signal aborts the read. @throws {Error} if it cannot be read */
  read(signal: AbortSignal): Promise<Buffer>;
  /** Puts new content into use. @throws {Error} if it is malformed; then nothing is changed */
  take(content: Buffer): Promise<void>;
}

/** The intervals of a rotation, in milliseconds. */
export interface RotationPace {
  /** The interval between checks for whether a read is due. */
  readonly look: number;
  /** A read is due when the last attempt is this old … */
  readonly refresh: number;
  /** … or this old if it failed. */
  readonly retry: number;
}

/**
 * A periodic read of keys that rotate. It compares their content, since the time of a file does not change if it is
 * replaced twice within one tick. While keys cannot be read or are malformed, the last ones stay in use.
 */
export class Rotation {
  readonly #rotating: Rotating;
  readonly #pace: RotationPace;
  readonly #logger: Logger;
  readonly #stopped = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #content: Buffer | undefined;
  #loading: Promise<void> | undefined;
  #triedAt = -Infinity;
  #failure: Error | undefined;

  constructor(rotating: Rotating, pace: RotationPace, logger: Logger) {
    this.#rotating = rotating;
    this.#pace = pace;
    this.#logger = logger;
  }

  /** Starts the periodic reads. Does nothing after `stop`. */
  start(): void {
    if (this.isStopped) return;
    const { look, refresh, retry } = this.#pace;
    this.#timer = setInterval(() => {
      if (this.age >= (this.#failure === undefined ? refresh : retry)) {
        this.loadAgain().catch(() => undefined);
      }
    }, look).unref();
  }

  /** Stops reading. A read that is under way is aborted: it fails, and nothing is logged. */
  stop(): void {
    clearInterval(this.#timer);
    this.#stopped.abort();
  }

  /** Whether `stop` was called. */
  get isStopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  /** Whether it is being read now. */
  get isLoading(): boolean {
    return this.#loading !== undefined;
  }

  /** The milliseconds since the last attempt ended. */
  get age(): number {
    return performance.now() - this.#triedAt;
  }

  /** The error of the last attempt; `undefined` if it succeeded. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Reads the source now, or waits for the read in progress.
   *
   * @throws {Error} the error of `read` or `take`
   */
  load(): Promise<void> {
    this.#loading ??= this.#read()
      .then(() => {
        this.#failure = undefined;
      })
      .catch((error: unknown) => {
        this.#failure = error as Error;
        throw error;
      })
      .finally(() => {
        this.#loading = undefined;
        this.#triedAt = performance.now();
      });
    return this.#loading;
  }

  /** Reads the source as `load` does, and logs when reads start or stop failing. */
  async loadAgain(): Promise<void> {
    const { name } = this.#rotating;
    const before = this.#failure?.message;
    try {
      await this.load();
      if (before !== undefined) this.#logger.info(`${name} can be read again`);
    } catch (error) {
      if ((error as Error).message !== before && !this.isStopped) {
        this.#logger.error({ err: error }, `${name} cannot be read: the known keys stay in use`);
      }
      throw error;
    }
  }

  async #read(): Promise<void> {
    const content = await this.#rotating.read(this.#stopped.signal);
    if (this.#content?.equals(content) === true) return;
    await this.#rotating.take(content);
    this.#content = content;
  }
}

/**
 * Reads a file of keys.
 *
 * @param maxBytes the largest size
 * @throws {Error} if it cannot be read, is larger, or is not a regular file: a second read of a pipe would block
 */
export async function readKeyFile(path: string, maxBytes: number): Promise<Buffer> {
  const found = await stat(path);
  if (!found.isFile()) throw new Error('it is not a regular file');
  if (found.size > maxBytes) throw new Error(`the file has more than ${maxBytes} bytes`);
  return readFile(path);
}
