import { readFileSync, statSync } from 'node:fs';
import type { Logger } from 'pino';
import { sentence } from '../sentence.ts';
import { StartError } from '../start-error.ts';

/** More than credentials and certificates need. */
const MAX_BYTES = 256 * 1024;

/** A file that a variable names. */
interface FileOfVariable<T> {
  readonly variable: string;
  readonly path: string;
  /** @throws {Error} with the rule that the text breaks, as the end of the sentence "… names a file …"; it repeats no secret */
  readonly parse: (text: string) => T;
}

/**
 * A file of credentials or certificates, which is read at the start and again for each connection, because they rotate.
 * While it cannot be read or is malformed, the last content stays in use.
 */
export class RotatingFile<T> {
  readonly #source: FileOfVariable<T>;
  readonly #logger: Logger;
  /** A pipe has its content once. */
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

  /** Reads the file again, and logs when that begins or ceases to fail. Never throws. @returns the newest good content */
  latest(): T {
    if (!this.#isRegular) return this.#content;
    const { variable } = this.#source;
    try {
      const bytes = read(this.#source);
      // The check of a seed takes a tenth of a second.
      if (!bytes.equals(this.#bytes)) this.#content = parse(this.#source, bytes);
      this.#bytes = bytes;
      if (this.#fault !== undefined) this.#logger.info(`${variable} can be read again`);
      this.#fault = undefined;
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#fault) {
        this.#logger.error({ why: message }, `${variable} cannot be read: what it had before stays in use`);
      }
      this.#fault = message;
    }
    return this.#content;
  }
}

/** @throws {Error} with what is wrong, as the end of the sentence "NAME …" */
function read<T>({ path }: FileOfVariable<T>): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`cannot be read (${(error as Error).message})`, { cause: error });
  }
}

/** @throws {Error} with the rule that the file breaks, as the end of the sentence "NAME …" */
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
