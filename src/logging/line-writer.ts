import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';

/** Lines past this many bytes are dropped: an output that takes nothing must not fill the memory. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** A pipe holds this much by default. */
const CHUNK_BYTES = 64 * 1024;

/** A full pipe is tried again after this time. */
const BUSY_MILLISECONDS = 50;

/** An output that fails (a full disk, a reader that has gone) is tried again after this time. */
const FAILED_MILLISECONDS = 1000;

/** The end of the process waits this long for a full pipe. */
const FLUSH_MILLISECONDS = 500;
const FLUSH_PAUSE_MILLISECONDS = 10;

const NOTHING = Buffer.alloc(0);

/** A file descriptor that lines are written to. */
export interface Output {
  readonly fd: number;
  /** A write to it may take long, so it is left to a thread. Any other is non-blocking. */
  readonly mayBlock: boolean;
}

/**
 * Opens the error output for writing without blocking.
 *
 * Opens it a second time if possible (Linux; not a socket, and not a pipe of another user): whether a write blocks is a
 * property of what was opened, and programs that share it with this one may change it. Else Node makes descriptor 2
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
 * Lines on their way to an output that may be slow, full, or gone. `write` never blocks and never throws; lines that
 * find too many before them are dropped and counted.
 *
 * It is not sonic-boom, pino's own: its `flushSync` goes round in a loop while a disk is full, and a write of its
 * threads to a full pipe keeps the process from ending.
 */
export class LineWriter {
  /** Lines that were dropped since the start. */
  dropped = 0;
  readonly #output: Output;
  readonly #onDropped: (lines: number) => void;
  /** Waiting lines; the first may be the rest of one. */
  #lines: Buffer[] = [];
  /** The bytes that are written next. */
  #chunk: Buffer = NOTHING;
  /** Those of the chunk and the lines. */
  #bytes = 0;
  #untold = 0;
  /** Idle; a write is due, at once or after a pause; or a thread is writing the chunk. */
  #state: 'idle' | 'due' | 'writing' = 'idle';

  /** @param onDropped told how many lines were dropped, when the output takes lines again */
  constructor(output: Output, onDropped: (lines: number) => void) {
    this.#output = output;
    this.#onDropped = onDropped;
  }

  /** Takes a line, with its line break. It is written once the caller is done. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#bytes + bytes.length > MAX_WAITING_BYTES) {
      this.dropped++;
      this.#untold++;
      return;
    }
    this.#lines.push(bytes);
    this.#bytes += bytes.length;
    if (this.#state !== 'idle') return;
    this.#state = 'due';
    setImmediate(() => this.#writeChunk());
  }

  /**
   * Writes the waiting lines before it returns: for the end of the process. It waits half a second for a pipe that is
   * full, and gives up on an output that fails.
   */
  flush(): void {
    // The process does not end before its threads have.
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
    if (this.#untold > 0 && this.#bytes < MAX_WAITING_BYTES / 2) {
      const lines = this.#untold;
      this.#untold = 0;
      this.#onDropped(lines);
    }
  }

  /** Fills the chunk if it is empty. Returns whether there is anything to write. */
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
