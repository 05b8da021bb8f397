/** A body or message that is still arriving. */
export interface Arriving {
  /** Refuses it and frees its bytes. Called when others need the memory. */
  refuse(): void;
}

/** The maximum number of bytes arriving at once, over all connections. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Smaller bodies and messages are not counted, so that an ordinary publish is never refused because of others. */
const FREE_BYTES = 64 * 1024;

/**
 * The memory of large bodies and messages that have not fully arrived. Past the bound, the one that began first is
 * refused: at an ordinary pace it would have arrived long ago, so it must be the slow one.
 */
export class ArrivingBytes {
  readonly #maxBytes: number;
  /** The bytes of each, in the order in which they began. */
  readonly #bytes = new Map<Arriving, number>();
  #total = 0;

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** The number of bytes counted now. */
  get total(): number {
    return this.#total;
  }

  /** Records how many bytes of a body or message have arrived. May refuse it at once. */
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

  /** Forgets a body or message that has fully arrived or was abandoned. Does nothing if it is not counted. */
  delete(arriving: Arriving): void {
    this.#total -= this.#bytes.get(arriving) ?? 0;
    this.#bytes.delete(arriving);
  }
}
