/** The longest time in which nothing succeeded. */
export class LongestGap {
  #since;
  #longest = 0;
  /** How often something succeeded. */
  successes = 0;

  /** @param {number} now the begin, on any clock */
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
   * @returns {number} the longest gap, also if it has not ended
   */
  longest(now) {
    return Math.max(this.#longest, now - this.#since);
  }
}
