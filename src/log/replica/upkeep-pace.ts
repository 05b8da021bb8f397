/** The time within which an append is expected to be followed by another. */
const BUSY_MILLISECONDS = 50;

/**
 * Divides the time of the writer thread between appends and upkeep. While appends keep coming, each step of upkeep is
 * followed by a pause as long as the step, so that appends get at least half of the time. Without appends, upkeep runs
 * at full speed.
 */
export class UpkeepPace {
  readonly #clock: () => number;
  #appended = -Infinity;
  #pauseEnds = -Infinity;

  /** @param clock a monotonic clock in milliseconds, such as `performance.now()` */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Notes that an append was made. */
  appended(): void {
    this.#appended = this.#clock();
  }

  /** Notes that a step has ended, and how long it took. */
  stepped(milliseconds: number): void {
    this.#pauseEnds = this.#clock() + milliseconds;
  }

  /** The milliseconds until the next step may begin; 0 if it may begin as soon as no requests wait. */
  get pause(): number {
    const now = this.#clock();
    return now - this.#appended > BUSY_MILLISECONDS ? 0 : Math.max(0, this.#pauseEnds - now);
  }
}
