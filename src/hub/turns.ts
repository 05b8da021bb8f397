/** Work on the thread that serves all sockets goes on for at most this long before others are served. */
const BUDGET_MILLISECONDS = 5;

/** Something that waits for its turn. */
export interface Task {
  /** Does a piece of its work. It must not throw. */
  turn(): void;
}

/** Work that is done step by step. */
interface Job {
  readonly steps: Iterator<unknown>;
  readonly done: () => void;
}

/**
 * Takes pieces of work in turns, and lets sockets and requests be served between them. There are two kinds, which
 * alternate if both wait: tasks, the oldest first (after a restart thousands of devices replay at once, and a publish
 * must not wait for all of them), and jobs, one after the other (whatever grows with the number of open streams).
 */
export class Turns {
  readonly #tasks = new Set<Task>();
  readonly #jobs: Job[] = [];
  /** Whether steps of a job are being taken: what those steps begin comes behind them. */
  #stepping = false;
  #jobsAreNext = true;
  #planned = false;

  /** Puts a task at the end. Nothing is done if it waits already. */
  add(task: Task): void {
    this.#tasks.add(task);
    this.#plan();
  }

  /** Takes a task out. Nothing is done if it does not wait. */
  remove(task: Task): void {
    this.#tasks.delete(task);
  }

  /**
   * Does a job: 5 ms of it at once, unless an earlier one is not done yet, and the rest in turns. Jobs are done in the
   * order of the calls.
   *
   * @param job its steps; they must not throw
   * @returns settles when the last step is done
   */
  run(job: Iterable<unknown>): Promise<void> {
    const steps = job[Symbol.iterator]();
    if (this.#jobs.length === 0 && !this.#stepping && this.#step(steps, endOfTurn()))
      return Promise.resolve();
    return new Promise((done) => {
      this.#jobs.push({ steps, done });
      this.#plan();
    });
  }

  /**
   * Does a job again and again. A time that comes while the job is still being done is left out.
   *
   * @returns ends it
   */
  every(milliseconds: number, job: () => Iterable<unknown>): () => void {
    let isRunning = false;
    const steps = function* (): Generator {
      yield* job();
      isRunning = false;
    };
    const timer = setInterval(() => {
      if (isRunning) return;
      isRunning = true;
      void this.run(steps());
    }, milliseconds);
    timer.unref();
    return () => clearInterval(timer);
  }

  #plan(): void {
    if (this.#planned || (this.#tasks.size === 0 && this.#jobs.length === 0)) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      const takeJobs = this.#jobs.length > 0 && (this.#jobsAreNext || this.#tasks.size === 0);
      this.#jobsAreNext = !takeJobs;
      if (takeJobs) this.#takeJobs();
      else this.#takeTasks();
      this.#plan();
    });
  }

  #takeTasks(): void {
    const end = endOfTurn();
    for (const task of this.#tasks) {
      this.#tasks.delete(task);
      task.turn();
      if (performance.now() >= end) break;
    }
  }

  #takeJobs(): void {
    const end = endOfTurn();
    for (let [job] = this.#jobs; job !== undefined && this.#step(job.steps, end); [job] = this.#jobs) {
      this.#jobs.shift();
      job.done();
      if (performance.now() >= end) break;
    }
  }

  /** Takes steps until the time has come. @returns whether that was the last */
  #step(steps: Iterator<unknown>, end: number): boolean {
    this.#stepping = true;
    try {
      do {
        if (steps.next().done === true) return true;
      } while (performance.now() < end);
      return false;
    } finally {
      this.#stepping = false;
    }
  }
}

function endOfTurn(): number {
  return performance.now() + BUDGET_MILLISECONDS;
}
