/** A body or message that is still arriving. */
export interface Arriving {
  /** Called when others need its memory: refuses it, and frees its bytes. */
  refuse(): void;
}

/** The bytes that may be arriving at once, over all connections. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Smaller bodies and messages are not counted: an ordinary publish is never refused because of others. */
const FREE_BYTES = 64 * 1024;

/**
 * The memory of large bodies and messages that have not arrived whole. Past the bound, the one that began first is
 * refused: at an ordinary pace it would have arrived long before, so it is the one that drips.
 */
export class ArrivingBytes {
  readonly #maxBytes: number;
  /** In the order in which they began. */
  readonly #bytes = new Map<Arriving, number>();
  #total = 0;

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** The bytes counted now. */
  get total(): number {
    return this.#total;
  }

  /** Notes how many bytes of a body or message have arrived. It may be refused at once. */
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

  /** Forgets a body or message that has arrived whole or was given up. Does nothing if it is not counted. */
  delete(arriving: Arriving): void {
    this.#total -= this.#bytes.get(arriving) ?? 0;
    this.#bytes.delete(arriving);
  }
}
