/** Bytes in a stream, in their place. */
export interface StreamedEntry {
  /** Its place: 1 for the first, and one more for each that follows. */
  readonly sequence: number;
  /** When the stream stored it, in milliseconds since the Unix epoch. */
  readonly time: number;
  readonly bytes: Uint8Array;
}

/** The extent of a stream. */
export interface StreamExtent {
  /** The log whose entries it has. */
  readonly logId: string;
  readonly generation: number;
  /** The sequence of the oldest entry that is left, or that the next one will have. */
  readonly first: number;
  /** The sequence of the newest entry ever; 0 before the first. */
  readonly last: number;
  /** The clock of the server that gives entries their time, in milliseconds since the Unix epoch, if it says so. */
  readonly now?: number | undefined;
}

/** A durable stream of entries that all nodes share. It gives them their order. */
export interface EntryStream {
  /** The maximum number of bytes of one entry. */
  readonly maxBytes: number;

  /**
   * Appends an entry. If it fails, the entry may be appended all the same, also much later.
   *
   * @param id the same for each try: an entry whose id came lately is not appended again
   * @throws {Error} if that is not confirmed
   */
  append(bytes: Uint8Array, id: string): Promise<void>;

  /** Looks at the stream as it is now. @throws {Error} if it cannot be asked; {StreamGone} if there is none */
  extent(): Promise<StreamExtent>;

  /** Returns one entry; `undefined` if it is not there, or no longer. @throws {Error} if the stream cannot be asked */
  entry(sequence: number): Promise<StreamedEntry | undefined>;

  /**
   * Reads the entries behind a sequence, and goes on with new ones as they come. It ends at the first sign of trouble: a
   * lost connection, a heartbeat that is missing. Nothing is read before it is durable.
   *
   * @throws {Error} while iterating, if it ended by a fault
   */
  read(after: number, signal: AbortSignal): AsyncIterable<StreamedEntry>;
}

/** There is no such stream. */
export class StreamGone extends Error {
  constructor(name: string) {
    super(`the stream ${name} does not exist: NATS has lost it. An operator has to choose: cluster reseed`);
    this.name = 'StreamGone';
  }
}
