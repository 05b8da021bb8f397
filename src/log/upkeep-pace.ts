/** So long after an append another one is expected. */
const BUSY_MILLISECONDS = 50;

/**
 * Shares the writer thread between appends and upkeep: while appends come, each step of upkeep is followed by a pause as
 * long as the step, so that appends have at least half of the time. Without appends upkeep goes at full speed.
 */
export class UpkeepPace {
  readonly #clock: () => number;
  #appended = -Infinity;
  #pauseEnds = -Infinity;

  /** @param clock milliseconds that only grow, as of `performance.now()` */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Notes that an append was made. */
  appended(): void {
    this.#appended = this.#clock();
  }

  /** Notes that a step was done, and how long it took. */
  stepped(milliseconds: number): void {
    this.#pauseEnds = this.#clock() + milliseconds;
  }

  /** Milliseconds until the next step may begin; 0: as soon as no request waits. */
  get pause(): number {
    const now = this.#clock();
    return now - this.#appended > BUSY_MILLISECONDS ? 0 : Math.max(0, this.#pauseEnds - now);
  }
}
