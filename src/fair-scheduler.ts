/** The longest turn: while work occupies the thread, no socket is served. */
const BUDGET_MILLISECONDS = 5;

/** A piece of work that waits for its turn. */
export interface Task {
  /** Does the work, or a part of it. Must not throw. */
  turn(): void;
}

/** Work in steps. */
interface Job {
  readonly steps: Iterator<unknown>;
  readonly done: () => void;
}

/**
 * A scheduler that divides long work into turns, between which sockets and requests are served. It has two queues,
 * which alternate if both have work: tasks, oldest first (after a restart thousands of streams replay at once, and a
 * publish must not wait for all of them), and jobs, one after the other (work that grows with the number of open
 * streams).
 */
export class FairScheduler {
  readonly #tasks = new Set<Task>();
  readonly #jobs: Job[] = [];
  /** Whether a step of a job is running. If the step starts another job, that one is queued. */
  #isStepping = false;
  #jobsAreNext = true;
  #planned = false;

  /** Queues a task. Does nothing if it is queued already. */
  add(task: Task): void {
    this.#tasks.add(task);
    this.#plan();
  }

  /** Removes a task from the queue. Does nothing if it is not queued. */
  remove(task: Task): void {
    this.#tasks.delete(task);
  }

  /**
   * Runs a job: the first 5 ms at once, unless an earlier job is unfinished, and the rest in turns. Jobs run in the order
   * of the calls.
   *
   * @param job its steps, which must not throw
   * @returns settles when the last step is done
   */
  run(job: Iterable<unknown>): Promise<void> {
    const steps = job[Symbol.iterator]();
    if (this.#jobs.length === 0 && !this.#isStepping && this.#step(steps, endOfTurn()))
      return Promise.resolve();
    return new Promise((done) => {
      this.#jobs.push({ steps, done });
      this.#plan();
    });
  }

  /**
   * Runs a job at intervals. An interval that ends while the job is still running is skipped.
   *
   * @returns a function that stops the repetition
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
      const jobsFirst = this.#jobs.length > 0 && (this.#jobsAreNext || this.#tasks.size === 0);
      this.#jobsAreNext = !jobsFirst;
      if (jobsFirst) this.#runJobs();
      else this.#runTasks();
      this.#plan();
    });
  }

  #runTasks(): void {
    const end = endOfTurn();
    for (const task of this.#tasks) {
      this.#tasks.delete(task);
      task.turn();
      if (performance.now() >= end) break;
    }
  }

  #runJobs(): void {
    const end = endOfTurn();
    for (let [job] = this.#jobs; job !== undefined && this.#step(job.steps, end); [job] = this.#jobs) {
      this.#jobs.shift();
      job.done();
      if (performance.now() >= end) break;
    }
  }

  /** Runs steps until a time. @returns whether the last step is done */
  #step(steps: Iterator<unknown>, end: number): boolean {
    this.#isStepping = true;
    try {
      do {
        if (steps.next().done === true) return true;
      } while (performance.now() < end);
      return false;
    } finally {
      this.#isStepping = false;
    }
  }
}

function endOfTurn(): number {
  return performance.now() + BUDGET_MILLISECONDS;
}
