import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { newFolder, undoAtEnd } from './server.ts';

/** A named pipe, of which a test decides when it is read, and whether anybody does. */
export class Fifo {
  readonly path = join(newFolder(), 'fifo');
  #reader: number | undefined;

  constructor() {
    execFileSync('mkfifo', [this.path]);
    this.#reader = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
    undoAtEnd(() => this.leave());
  }

  /** Reads what is in it; empty if there is nothing. */
  read(): string {
    if (this.#reader === undefined) return '';
    const parts: Buffer[] = [];
    try {
      for (;;) {
        const part = Buffer.alloc(64 * 1024);
        const length = readSync(this.#reader, part);
        if (length === 0) break;
        parts.push(part.subarray(0, length));
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
    return Buffer.concat(parts).toString();
  }

  /** Closes the end that reads: whoever writes gets EPIPE. */
  leave(): void {
    if (this.#reader !== undefined) closeSync(this.#reader);
    this.#reader = undefined;
  }
}
