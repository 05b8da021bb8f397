/** A node seen within this time may come back and continue from its position. */
const REMEMBERED_MILLISECONDS = 15 * 60_000;

/** The maximum number of remembered nodes. If there are more, nothing is trimmed, since their positions are unknown. */
const MAX_REMEMBERED = 1000;

/**
 * The sequences that the nodes of a cluster had applied when they were last seen. They limit how much of the stream is
 * trimmed.
 */
export class Positions {
  readonly #seen = new Map<string, { through: number; at: number }>();
  /** The time since which this node has heard the others without a break; all times are of `performance.now()`. */
  #heardSince: number | undefined;
  /** The last time that a node was left out because there were too many. */
  #leftOutAt = -Infinity;

  /** Records the position of a node. Beyond the maximum, further nodes are left out. */
  note(id: string, through: number, now: number): void {
    if (this.#seen.size < MAX_REMEMBERED || this.#seen.has(id)) this.#seen.set(id, { through, at: now });
    else this.#leftOutAt = now;
  }

  /** Forgets nodes not seen in the last 15 minutes. */
  tidy(now: number): void {
    for (const [id, { at }] of this.#seen) {
      if (now - at >= REMEMBERED_MILLISECONDS) this.#seen.delete(id);
    }
  }

  /** Notes whether this node hears others now. While it does not, it may miss live nodes. */
  hearing(isHearing: boolean, now: number): void {
    this.#heardSince = isHearing ? (this.#heardSince ?? now) : undefined;
  }

  /**
   * Returns the sequences of the nodes seen in the last 15 minutes.
   *
   * @returns `undefined` if this node has not heard the others for 15 minutes without a break, or has left one out
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
