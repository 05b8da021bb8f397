import { readFile, stat } from 'node:fs/promises';
import type { Logger } from 'pino';

/** What is read again and again, because others change it. */
export interface Rotating {
  /** The variable that names it, for the log. */
  readonly name: string;
  /** Reads it. @throws if it cannot be read */
  read(): Promise<Buffer>;
  /** Takes what was read. @throws if it is malformed; then nothing is changed */
  take(content: Buffer): Promise<void>;
}

/** Milliseconds. */
export interface RotationPace {
  /** It is looked this often whether it is due. */
  readonly look: number;
  /** It is due when the last try is so old … */
  readonly refresh: number;
  /** … or, if that failed, so old. */
  readonly retry: number;
}

/**
 * Reads keys again as they are rotated. They are compared by their content: the time of a file tells nothing if it is
 * replaced twice within one tick of it. While they cannot be read, or are malformed, those taken last stay in use.
 */
export class Rotation {
  readonly #rotating: Rotating;
  readonly #logger: Logger;
  #content: Buffer | undefined;
  #loading: Promise<void> | undefined;
  #triedAt = -Infinity;
  #failure: Error | undefined;

  /** Begins to read it again in the background; call `load` for the first time. */
  constructor(rotating: Rotating, { look, refresh, retry }: RotationPace, logger: Logger) {
    this.#rotating = rotating;
    this.#logger = logger;
    setInterval(() => {
      if (this.age >= (this.#failure === undefined ? refresh : retry)) {
        this.loadAgain().catch(() => undefined);
      }
    }, look).unref();
  }

  /** Whether it is being read now. */
  get isLoading(): boolean {
    return this.#loading !== undefined;
  }

  /** How long ago the last try ended, in milliseconds. */
  get age(): number {
    return performance.now() - this.#triedAt;
  }

  /** Why the last try failed; `undefined` if it did not. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Reads it now, or waits for the reading that is under way.
   *
   * @throws what `read` or `take` threw
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

  /** Reads it as `load` does, and logs when that begins and ceases to fail. */
  async loadAgain(): Promise<void> {
    const { name } = this.#rotating;
    const before = this.#failure?.message;
    try {
      await this.load();
      if (before !== undefined) this.#logger.info(`${name} can be read again`);
    } catch (error) {
      if ((error as Error).message !== before) {
        this.#logger.error({ err: error }, `${name} cannot be read: the keys that are known stay in use`);
      }
      throw error;
    }
  }

  async #read(): Promise<void> {
    const content = await this.#rotating.read();
    if (this.#content?.equals(content) === true) return;
    await this.#rotating.take(content);
    this.#content = content;
  }
}

/**
 * Reads a file of keys.
 *
 * @param most its greatest size in bytes
 * @throws {Error} if it cannot be read, is larger, or is no regular file: a pipe can be read once, and would block then
 */
export async function readKeyFile(path: string, most: number): Promise<Buffer> {
  const found = await stat(path);
  if (!found.isFile()) throw new Error('it is no regular file');
  if (found.size > most) throw new Error(`the file is over ${most} bytes`);
  return readFile(path);
}
