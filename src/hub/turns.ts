/** Work on the thread that serves all sockets goes on for at most this long before others are served. */
const BUDGET_MILLISECONDS = 5;

/** Something that waits for its turn. */
export interface Task {
  /** Does a piece of its work. It must not throw. */
  turn(): void;
}

/**
 * Takes pieces of work in turns, the oldest first, and lets sockets and requests be served between them: after a
 * restart thousands of devices replay at once, and a publish is not to wait for all of them.
 */
export class Turns {
  readonly #waiting = new Set<Task>();
  #planned = false;

  /** Puts a task at the end. Nothing is done where it waits already. */
  add(task: Task): void {
    this.#waiting.add(task);
    this.#plan();
  }

  /** Takes a task out. Nothing is done where it does not wait. */
  remove(task: Task): void {
    this.#waiting.delete(task);
  }

  #plan(): void {
    if (this.#planned || this.#waiting.size === 0) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      const end = performance.now() + BUDGET_MILLISECONDS;
      for (const task of this.#waiting) {
        this.#waiting.delete(task);
        task.turn();
        if (performance.now() >= end) break;
      }
      this.#plan();
    });
  }
}
