/** An entry of a stream, as bytes, with its place. */
export interface StreamedEntry {
  /** Its place in the stream, counted from 1. */
  readonly sequence: number;
  /** The time at which the stream stored it, in milliseconds since the Unix epoch. */
  readonly time: number;
  readonly bytes: Uint8Array;
}

/** The extent of a stream. */
export interface StreamExtent {
  /** The log whose entries it has. */
  readonly logId: string;
  readonly generation: number;
  /** The sequence of the oldest remaining entry; if none remains, of the next one. */
  readonly first: number;
  /** The sequence of the newest entry ever; 0 before the first. */
  readonly last: number;
  /**
   * The clock of the server that timestamps entries, in milliseconds since the Unix epoch; missing if the server does
   * not report it.
   */
  readonly now?: number | undefined;
}

/** A durable stream of entries that all nodes share. It decides their order. */
export interface EntryStream {
  /** The maximum number of bytes of one entry. */
  readonly maxBytes: number;

  /**
   * Appends an entry. Even if this fails, the entry may still be appended, possibly much later.
   *
   * @param id the same for each try. The stream ignores an entry whose id it has seen recently
   * @throws {Error} if the stream does not confirm it
   */
  append(bytes: Uint8Array, id: string): Promise<void>;

  /**
   * Returns the current extent of the stream.
   *
   * @throws {Error} if it cannot be asked; {StreamGone} if it does not exist
   */
  extent(): Promise<StreamExtent>;

  /**
   * Returns one entry; `undefined` if it does not exist or was removed.
   *
   * @throws {Error} if the stream cannot be asked
   */
  entry(sequence: number): Promise<StreamedEntry | undefined>;

  /**
   * Reads the entries after a sequence, then new ones as they arrive. Ends at the first sign of trouble, such as a lost
   * connection or a missing heartbeat. Returns only durable entries.
   *
   * @throws {Error} while iterating, if a fault ended it
   */
  read(after: number, signal: AbortSignal): AsyncIterable<StreamedEntry>;
}

/** The error for a stream that does not exist. */
export class StreamGone extends Error {
  constructor(name: string) {
    super(`the stream ${name} does not exist: NATS has lost it. An operator must decide: see cluster reseed`);
    this.name = 'StreamGone';
  }
}
