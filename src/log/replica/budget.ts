/**
 * The bound of one piece of work while others wait: a time, and a minimum number of rows that are processed even if
 * that takes longer.
 */
export class Budget {
  readonly #clock: () => number;
  readonly #end: number;
  #rowsLeft: number;

  /**
   * @param clock a monotonic clock in milliseconds, such as `performance.now()`
   * @param milliseconds the time that the work may take
   * @param minRows the number of rows that are always processed
   */
  constructor(clock: () => number, milliseconds: number, minRows = 0) {
    this.#clock = clock;
    this.#end = clock() + milliseconds;
    this.#rowsLeft = minRows;
  }

  /** Notes that rows were processed. */
  spend(rows: number): void {
    this.#rowsLeft -= rows;
  }

  /** Whether the work must stop here. */
  get isSpent(): boolean {
    return this.#rowsLeft <= 0 && this.#clock() >= this.#end;
  }
}

/**
 * The time after which a read ends, since it runs on the thread that serves all sockets. Another read may continue it.
 */
const READ_MILLISECONDS = 8;

/**
 * The rows that a read always processes, in about 3 ms. Without it, a busy machine would end even a small page early.
 */
const READ_ROWS = 5000;

/** Returns the bound of one read: a few milliseconds, but at least a few thousand rows. */
export function readBudget(): Budget {
  return new Budget(() => performance.now(), READ_MILLISECONDS, READ_ROWS);
}
