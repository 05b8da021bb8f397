/** Bodies and messages of at least this many bytes are each parsed in a separate turn. */
export const LARGE_BYTES = 32 * 1024;

/**
 * A queue of connections that have used up their share of a turn of the event loop, or have a large body or message to
 * parse. One continues in each turn, so that many cost a turn no more than one does.
 */
export class ReadingTurns {
  readonly #waiting = new Set<() => void>();
  #planned = false;

  /**
   * Calls a function in a later turn, after the functions already waiting.
   *
   * @param resume must not throw
   */
  wait(resume: () => void): void {
    this.#waiting.add(resume);
    this.#plan();
  }

  /** Settles in a later turn, after the functions already waiting. */
  turn(): Promise<void> {
    return new Promise((resolve) => this.wait(resolve));
  }

  #plan(): void {
    if (this.#planned || this.#waiting.size === 0) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      const [resume] = this.#waiting;
      if (resume !== undefined) {
        this.#waiting.delete(resume);
        resume();
      }
      this.#plan();
    });
  }
}

/** The queue of this process, which has one event loop. */
export const readingTurns = new ReadingTurns();
