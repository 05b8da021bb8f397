import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { EntryAddress } from './entry-codec.ts';
import { type EntryStream, type StreamedEntry, StreamGone } from './entry-stream.ts';

/** Reading pauses while this much waits to be applied. */
const MAX_WAITING_ENTRIES = 4000;
const MAX_WAITING_BYTES = 32 * 1024 * 1024;

/** The maximum number of entries and bytes in one transaction. */
const GROUP_ENTRIES = 500;
const GROUP_BYTES = 4 * 1024 * 1024;

/** The pause before reading begins again, and its maximum. */
const AGAIN_MILLISECONDS = 50;
const MAX_AGAIN_MILLISECONDS = 2000;

/**
 * A stream is treated as a different one only after it has looked like one for this long: a server that is cut off or
 * restarting may know less than the others for some seconds.
 */
const DOUBT_MILLISECONDS = 15_000;

/** The error for a stream that does not continue what this replica has: another history has taken its place. */
class Forked extends Error {
  constructor(what: string) {
    super(
      `${what}: the stream is not the one that this node has followed. An operator must decide: see cluster reseed`,
    );
    this.name = 'Forked';
  }
}

/** The error for a stream that no longer has the entry that this replica needs next. */
export class TooFarBehind extends Error {
  constructor(after: number, first: number) {
    super(
      `this node has applied ${after} entries, and the stream begins at ${first}: it joins by a snapshot when it starts again`,
    );
    this.name = 'TooFarBehind';
  }
}

/** The options of a tail. */
export interface TailOptions {
  readonly stream: EntryStream;
  readonly address: EntryAddress;
  /** The sequence to start after. */
  readonly after: number;
  /** The mark of the entry with that sequence; empty if it is not known. */
  readonly mark: string;
  /** Returns the mark of an entry. */
  readonly markOf: (entry: StreamedEntry) => string;
  readonly logger: Logger;
  /** Called once, when the stream is first found to continue what this replica has. */
  readonly onFound: () => void;
  /** Called when an entry has arrived. */
  readonly onArrival: () => void;
  /** Called when the stream can no longer be followed. */
  readonly onFatal: (error: Error) => void;
  /** The time for which a stream must look like a different one before it is abandoned, in milliseconds. */
  readonly doubtMilliseconds?: number | undefined;
}

/**
 * The entries of a stream in order, without gaps. At the first sign of trouble, reading starts over after the last
 * entry that arrived. Each start checks the stream first, since a NATS client would silently follow a stream that was
 * recreated, or restored from older files.
 */
export class Tail {
  readonly #options: TailOptions;
  #arrived: StreamedEntry[] = [];
  #arrivedBytes = 0;
  /** The sequence of the last entry that arrived. */
  #last: number;
  /** The last entry that arrived; `undefined` before the first, when the options have the mark to compare. */
  #lastEntry: StreamedEntry | undefined;
  #isDoubting = true;
  /** Called when there is room again. */
  #onRoom: () => void = () => undefined;
  readonly #closing = new AbortController();

  constructor(options: TailOptions) {
    this.#options = options;
    this.#last = options.after;
  }

  /** Starts following the stream. */
  start(): void {
    void this.#follow();
  }

  /** Takes the oldest entries that have arrived: as many as fit into one transaction, or none if none have arrived. */
  take(): StreamedEntry[] {
    let bytes = 0;
    const end = this.#arrived.findIndex(
      (entry, index) => index >= GROUP_ENTRIES || (index > 0 && (bytes += entry.bytes.length) > GROUP_BYTES),
    );
    const taken = this.#arrived.splice(0, end === -1 ? this.#arrived.length : end);
    for (const entry of taken) this.#arrivedBytes -= entry.bytes.length;
    if (!this.#isFull) this.#onRoom();
    return taken;
  }

  /**
   * Stops reading: no more entries arrive. Does not wait for pending requests to the stream, which may not answer for
   * seconds.
   */
  close(): void {
    this.#closing.abort();
    this.#onRoom();
  }

  /** Whether it is uncertain that the stream is the one that this replica has followed. */
  get isDoubting(): boolean {
    return this.#isDoubting;
  }

  get #isFull(): boolean {
    return this.#arrived.length >= MAX_WAITING_ENTRIES || this.#arrivedBytes >= MAX_WAITING_BYTES;
  }

  #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  async #follow(): Promise<void> {
    const { logger, onFound, onFatal, doubtMilliseconds = DOUBT_MILLISECONDS } = this.#options;
    const { signal } = this.#closing;
    let pause = AGAIN_MILLISECONDS;
    let isFound = false;
    /** The `performance.now()` since which the stream has looked like a different one. */
    let doubtedSince: number | undefined;
    while (!signal.aborted) {
      const before = this.#last;
      try {
        await this.#look();
        if (this.#isClosed()) return;
        if (doubtedSince !== undefined) logger.info('the log in NATS is the one that this node knows');
        doubtedSince = undefined;
        this.#isDoubting = false;
        if (!isFound) onFound();
        isFound = true;
        await this.#read(signal);
      } catch (error) {
        if (this.#isClosed()) return;
        logger.debug({ err: error }, 'the stream cannot be read now');
        if (error instanceof TooFarBehind) {
          onFatal(error);
          return;
        }
        const isDoubted = error instanceof Forked || error instanceof StreamGone;
        this.#isDoubting ||= isDoubted;
        if (isDoubted && doubtedSince === undefined) {
          const why = error.message;
          logger.warn(
            { why },
            'this node takes no publishes for a while, and checks whether the log in NATS is the one it knows',
          );
        }
        doubtedSince = isDoubted ? (doubtedSince ?? performance.now()) : undefined;
        if (doubtedSince !== undefined && performance.now() - doubtedSince > doubtMilliseconds) {
          onFatal(error as Error);
          return;
        }
      }
      pause = this.#last > before ? AGAIN_MILLISECONDS : Math.min(2 * pause, MAX_AGAIN_MILLISECONDS);
      await wait(pause * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
    }
  }

  /** Checks that the stream continues what this replica has. @throws {Forked} @throws {TooFarBehind} */
  async #look(): Promise<void> {
    const { logId, generation, first, last } = await this.#options.stream.extent();
    const { address } = this.#options;
    if (logId !== address.logId || generation !== address.generation) {
      throw new Forked(`the stream has generation ${generation} of the log ${logId}`);
    }
    if (last < this.#last) {
      throw new Forked(`this node has applied ${this.#last} entries, and the stream has ${last}`);
    }
    if (first > this.#last + 1) throw new TooFarBehind(this.#last, first);
    if (first <= this.#last) await this.#compare();
  }

  /**
   * Compares the last entry that arrived with the stream's current entry of that sequence: a stream restored from older
   * files may have grown past it again.
   *
   * @throws {Forked} if they differ
   */
  async #compare(): Promise<void> {
    const { stream, mark, markOf } = this.#options;
    const found = await stream.entry(this.#last);
    if (found === undefined) throw new Error(`entry ${this.#last} cannot be read`);
    const known = this.#lastEntry === undefined ? mark : markOf(this.#lastEntry);
    if (known !== '' && known !== markOf(found)) {
      throw new Forked(`entry ${this.#last} of the stream differs from the one that this node has applied`);
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    for await (const entry of this.#options.stream.read(this.#last, signal)) {
      if (signal.aborted) return;
      if (entry.sequence !== this.#last + 1) {
        throw new Error(`entry ${entry.sequence} came after ${this.#last}`);
      }
      this.#last = entry.sequence;
      this.#lastEntry = entry;
      this.#arrived.push(entry);
      this.#arrivedBytes += entry.bytes.length;
      this.#options.onArrival();
      if (this.#isFull) await new Promise<void>((resolve) => (this.#onRoom = resolve));
    }
  }
}
