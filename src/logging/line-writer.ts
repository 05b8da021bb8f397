import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';

/** Lines are dropped while this many bytes wait: an output that accepts nothing must not fill the memory. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** The default capacity of a pipe. */
const CHUNK_BYTES = 64 * 1024;

/** The pause before another write to a full pipe. */
const BUSY_MILLISECONDS = 50;

/** The pause before another write to an output that failed (a full disk, a reader that has gone). */
const FAILED_MILLISECONDS = 1000;

/** The time that the process waits for a full pipe before it ends. */
const FLUSH_MILLISECONDS = 500;
const FLUSH_PAUSE_MILLISECONDS = 10;

const NOTHING = Buffer.alloc(0);

/** A file descriptor that lines are written to. */
export interface Output {
  readonly fd: number;
  /** Whether a write may block, and so is left to a thread. */
  readonly mayBlock: boolean;
}

/**
 * Opens the error output for writing without blocking.
 *
 * Opens it a second time if possible (Linux; not a socket, and not a pipe of another user): whether a write blocks is a
 * property of the open file, and programs that share it with this one may change it. Otherwise Node makes descriptor 2
 * non-blocking, unless it is a terminal.
 */
export function openErrorOutput(): Output {
  const { stderr } = process;
  if (fstatSync(stderr.fd).isFile()) return { fd: stderr.fd, mayBlock: true };
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
  try {
    return { fd: openSync(`/proc/self/fd/${stderr.fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY), mayBlock: false };
  } catch {
    return { fd: stderr.fd, mayBlock: stderr.isTTY };
  }
}

/**
 * A writer of lines to an output that may be slow, full, or gone. `write` never blocks and never throws. Lines are
 * dropped and counted if too many wait.
 *
 * It replaces sonic-boom, the writer of pino: its `flushSync` loops while a disk is full, and a write of its threads to
 * a full pipe keeps the process from ending.
 */
export class LineWriter {
  /** The number of lines dropped since the start. */
  dropped = 0;
  readonly #output: Output;
  readonly #onDropped: (lines: number) => void;
  /** The waiting lines. */
  #lines: Buffer[] = [];
  /** The bytes to write next. */
  #chunk: Buffer = NOTHING;
  /** The number of bytes in the chunk and the lines. */
  #bytes = 0;
  /** The number of dropped lines that `onDropped` has not been called with yet. */
  #unreported = 0;
  /** `due`: a write comes next, at once or after a pause. `writing`: a thread is writing the chunk. */
  #state: 'idle' | 'due' | 'writing' = 'idle';

  /** @param onDropped called with the number of dropped lines when the output accepts lines again */
  constructor(output: Output, onDropped: (lines: number) => void) {
    this.#output = output;
    this.#onDropped = onDropped;
  }

  /** Writes a line, which ends with a line break, after the current turn of the event loop. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#bytes + bytes.length > MAX_WAITING_BYTES) {
      this.dropped++;
      this.#unreported++;
      return;
    }
    this.#lines.push(bytes);
    this.#bytes += bytes.length;
    if (this.#state !== 'idle') return;
    this.#state = 'due';
    setImmediate(() => this.#writeChunk());
  }

  /**
   * Writes the waiting lines before it returns, at the end of the process. Waits half a second for a full pipe, and
   * gives up if the output fails.
   */
  flush(): void {
    // The process does not end before the thread has written the chunk.
    if (this.#state === 'writing') this.#chunk = NOTHING;
    const clock = new Int32Array(new SharedArrayBuffer(4));
    const end = performance.now() + FLUSH_MILLISECONDS;
    while (this.#takeChunk() && performance.now() < end) {
      try {
        this.#remove(writeSync(this.#output.fd, this.#chunk));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
        Atomics.wait(clock, 0, 0, FLUSH_PAUSE_MILLISECONDS);
      }
    }
  }

  #writeChunk(): void {
    if (!this.#takeChunk()) {
      this.#state = 'idle';
      return;
    }
    const { fd, mayBlock } = this.#output;
    if (mayBlock) {
      this.#state = 'writing';
      write(fd, this.#chunk, (error, written) => this.#onWritten(error, written));
      return;
    }
    try {
      this.#onWritten(null, writeSync(fd, this.#chunk));
    } catch (error) {
      this.#onWritten(error as NodeJS.ErrnoException, 0);
    }
  }

  #onWritten(error: NodeJS.ErrnoException | null, written: number): void {
    this.#state = 'due';
    if (error !== null) {
      const pause = error.code === 'EAGAIN' ? BUSY_MILLISECONDS : FAILED_MILLISECONDS;
      setTimeout(() => this.#writeChunk(), pause).unref();
      return;
    }
    this.#remove(written);
    setImmediate(() => this.#writeChunk());
    if (this.#unreported > 0 && this.#bytes < MAX_WAITING_BYTES / 2) {
      const lines = this.#unreported;
      this.#unreported = 0;
      this.#onDropped(lines);
    }
  }

  /** Fills the chunk if it is empty. @returns whether there is anything to write */
  #takeChunk(): boolean {
    if (this.#chunk.length > 0) return true;
    let count = 0;
    for (let bytes = 0; count < this.#lines.length && bytes < CHUNK_BYTES; count++) {
      bytes += this.#lines[count]?.length ?? 0;
    }
    this.#chunk = Buffer.concat(this.#lines.splice(0, count));
    return this.#chunk.length > 0;
  }

  #remove(written: number): void {
    this.#chunk = this.#chunk.subarray(written);
    this.#bytes -= written;
  }
}
