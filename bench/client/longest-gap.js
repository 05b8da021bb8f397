/** The longest time in which nothing succeeded. */
export class LongestGap {
  #since;
  #longest = 0;
  /** The number of successes. */
  successes = 0;

  /** @param {number} now the start, on any clock */
  constructor(now) {
    this.#since = now;
  }

  /**
   * Notes a success.
   *
   * @param {number} now
   */
  succeeded(now) {
    this.#longest = this.longest(now);
    this.#since = now;
    this.successes++;
  }

  /**
   * @param {number} now
   * @returns {number} the longest gap, even if it has not ended
   */
  longest(now) {
    return Math.max(this.#longest, now - this.#since);
  }
}
