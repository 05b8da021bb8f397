/** A body or message of so many bytes is parsed in a turn of its own. */
export const LARGE_BYTES = 32 * 1024;

/**
 * Connections that have had enough of the event loop's time for one turn, or have something large to be parsed. They go
 * on one after the other, one in each turn, so that many of them cost a turn no more than one does.
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

  /** Settles in a later turn, behind those that wait already. */
  turn(): Promise<void> {
    return new Promise((resolve) => this.wait(resolve));
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
