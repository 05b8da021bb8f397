/**
 * Connections that have had enough of the event loop's time for one turn. They go on one after the other, one in each
 * turn, so that what many of them bring costs a turn no more than what one does.
 */
export class ReadingTurns {
  readonly #resting = new Set<() => void>();
  #planned = false;

  /**
   * Calls a function in a later turn, behind those that wait already.
   *
   * @param goOn it must not throw
   */
  wait(goOn: () => void): void {
    this.#resting.add(goOn);
    this.#plan();
  }

  #plan(): void {
    if (this.#planned || this.#resting.size === 0) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      const [goOn] = this.#resting;
      if (goOn !== undefined) {
        this.#resting.delete(goOn);
        goOn();
      }
      this.#plan();
    });
  }
}

/** Those of this process: it has one event loop. */
export const readingTurns = new ReadingTurns();
