/** A node that was seen within this time may come back and go on from where it was. */
const REMEMBERED_MILLISECONDS = 15 * 60_000;

/** So many nodes are remembered. What is not known of further ones must not lead to trimming. */
const MAX_REMEMBERED = 1000;

/** The sequences that the nodes of a cluster had applied when they were seen last. They bound what is trimmed. */
export class Positions {
  readonly #seen = new Map<string, { through: number; at: number }>();
  /** Since when every node is heard; times are those of `performance.now()`. */
  #heardSince: number | undefined;
  /** When a node was left out last because there were too many. */
  #leftOutAt = -Infinity;

  /** Notes how far a node is. A further one than can be remembered is left out. */
  note(id: string, through: number, now: number): void {
    if (this.#seen.size < MAX_REMEMBERED || this.#seen.has(id)) this.#seen.set(id, { through, at: now });
    else this.#leftOutAt = now;
  }

  /** Forgets nodes that were not seen in the last 15 minutes. */
  tidy(now: number): void {
    for (const [id, { at }] of this.#seen) {
      if (now - at >= REMEMBERED_MILLISECONDS) this.#seen.delete(id);
    }
  }

  /** Notes whether this node hears others now. One that did not may have missed a node that is there. */
  hearing(isHearing: boolean, now: number): void {
    this.#heardSince = isHearing ? (this.#heardSince ?? now) : undefined;
  }

  /**
   * Returns the sequences of the nodes that were seen in the last 15 minutes.
   *
   * @returns `undefined` if this node has not heard others for as long without a break, or has left one of them out
   */
  lately(now: number): readonly number[] | undefined {
    const since = this.#heardSince;
    if (since === undefined || now - since < REMEMBERED_MILLISECONDS) return undefined;
    if (now - this.#leftOutAt < REMEMBERED_MILLISECONDS) return undefined;
    return [...this.#seen.values()]
      .filter(({ at }) => now - at < REMEMBERED_MILLISECONDS)
      .map(({ through }) => through);
  }
}
