/**
 * The bound of one piece of work while others wait: a time, and a number of rows that it does even if that takes
 * longer.
 */
export class Budget {
  readonly #clock: () => number;
  readonly #end: number;
  #rowsLeft: number;

  /**
   * @param clock milliseconds that only grow, as of `performance.now()`
   * @param milliseconds how long the work may take
   * @param leastRows how many rows it does in any case
   */
  constructor(clock: () => number, milliseconds: number, leastRows = 0) {
    this.#clock = clock;
    this.#end = clock() + milliseconds;
    this.#rowsLeft = leastRows;
  }

  /** Notes that rows were worked on. */
  spend(rows: number): void {
    this.#rowsLeft -= rows;
  }

  /** Whether the work must stop here. */
  get isSpent(): boolean {
    return this.#rowsLeft <= 0 && this.#clock() >= this.#end;
  }
}

/** A read is on the thread that serves all sockets: past this time it ends, and there may be another one. */
const READ_MILLISECONDS = 8;

/** ... but not before so many rows, about three milliseconds: on a busy machine a small page would end early. */
const READ_ROWS = 5000;

/** Returns the bound of one read: some milliseconds, and some thousand rows in any case. */
export function readBudget(): Budget {
  return new Budget(() => performance.now(), READ_MILLISECONDS, READ_ROWS);
}
