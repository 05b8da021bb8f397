/** Something that is still arriving. */
export interface Arriving {
  /** Called when it takes room that others need: it is to be refused, and to let go of its bytes. */
  refuse(): void;
}

/** All that is still arriving may take this many bytes, over all connections. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Less than this is not counted: an ordinary publish is never refused because of others. */
const FREE_BYTES = 64 * 1024;

/**
 * The memory of large bodies and messages that have not arrived whole. Past the bound the one that began first is
 * refused: those that arrive at an ordinary pace are done long before, so it is one that drips.
 */
export class ArrivingBytes {
  readonly #maxBytes: number;
  /** The oldest first. */
  readonly #bytes = new Map<Arriving, number>();
  #total = 0;

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** How many bytes are counted now. */
  get total(): number {
    return this.#total;
  }

  /** Takes note of how many bytes something takes by now. It may be refused at once. */
  set(arriving: Arriving, bytes: number): void {
    const before = this.#bytes.get(arriving);
    if (before === undefined && bytes <= FREE_BYTES) return;
    this.#bytes.set(arriving, bytes);
    this.#total += bytes - (before ?? 0);
    for (const oldest of this.#bytes.keys()) {
      if (this.#total <= this.#maxBytes) return;
      this.delete(oldest);
      oldest.refuse();
    }
  }

  /** Forgets what has arrived, or was given up. Nothing is done if it is not counted. */
  delete(arriving: Arriving): void {
    this.#total -= this.#bytes.get(arriving) ?? 0;
    this.#bytes.delete(arriving);
  }
}
