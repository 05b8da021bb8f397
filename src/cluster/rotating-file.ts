import { readFileSync, statSync } from 'node:fs';
import type { Logger } from 'pino';
import { sentence } from '../sentence.ts';
import { StartError } from '../start-error.ts';

/** The maximum size of a file: more than credentials and certificates need. */
const MAX_BYTES = 256 * 1024;

/** A file named by an environment variable. */
interface FileOfVariable<T> {
  readonly variable: string;
  readonly path: string;
  /**
   * Parses the text.
   *
   * @throws {Error} with the rule that the text breaks, as the end of the sentence "… names a file …", without quoting
   *   secrets
   */
  readonly parse: (text: string) => T;
}

/**
 * A file of credentials or certificates. It is read at the start and again for each connection, because such files
 * rotate. While it cannot be read or is malformed, the last content stays in use.
 */
export class RotatingFile<T> {
  readonly #source: FileOfVariable<T>;
  readonly #logger: Logger;
  /** Whether it is a regular file. A pipe can be read only once. */
  readonly #isRegular: boolean;
  #bytes: Buffer;
  #content: T;
  #fault: string | undefined;

  private constructor(source: FileOfVariable<T>, bytes: Buffer, logger: Logger) {
    this.#source = source;
    this.#bytes = bytes;
    this.#content = parse(source, bytes);
    this.#logger = logger;
    this.#isRegular = statSync(source.path, { throwIfNoEntry: false })?.isFile() === true;
  }

  /** Reads the file for the first time. @throws {StartError} if it cannot be read or is malformed */
  static open<T>(source: FileOfVariable<T>, logger: Logger): RotatingFile<T> {
    try {
      return new RotatingFile(source, read(source), logger);
    } catch (error) {
      throw new StartError(sentence(`${source.variable} ${(error as Error).message}`), { cause: error });
    }
  }

  /**
   * Reads the file again, and logs when that starts or stops failing. Never throws.
   *
   * @returns the newest valid content
   */
  latest(): T {
    if (!this.#isRegular) return this.#content;
    const { variable } = this.#source;
    try {
      const bytes = read(this.#source);
      // Parse only if it has changed: checking a seed takes a tenth of a second.
      if (!bytes.equals(this.#bytes)) this.#content = parse(this.#source, bytes);
      this.#bytes = bytes;
      if (this.#fault !== undefined) this.#logger.info(`${variable} can be read again`);
      this.#fault = undefined;
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#fault) {
        this.#logger.error({ why: message }, `${variable} cannot be read: its previous content stays in use`);
      }
      this.#fault = message;
    }
    return this.#content;
  }
}

/** Reads the file. @throws {Error} with the reason, as the end of the sentence "NAME …" */
function read<T>({ path }: FileOfVariable<T>): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`cannot be read (${(error as Error).message})`, { cause: error });
  }
}

/** Parses the file. @throws {Error} with the rule that the file breaks, as the end of the sentence "NAME …" */
function parse<T>({ path, parse }: FileOfVariable<T>, bytes: Buffer): T {
  try {
    if (bytes.length > MAX_BYTES) throw new Error(`that must have ${MAX_BYTES} bytes at most`);
    return parse(decode(bytes));
  } catch (error) {
    throw new Error(`names a file, ${path}, ${(error as Error).message}`, { cause: error });
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Error('whose text must be UTF-8', { cause: error });
  }
}
