import type { Task, FairScheduler } from '../fair-scheduler.ts';

/**
 * Runs work that reads the log as a task of the scheduler, one piece per turn: after a start there may be a lot of it.
 *
 * @param work yields after each piece, of at most a few milliseconds
 * @returns the result of the work
 * @throws {Error} if the work throws: the log cannot be read
 */
export function runAsTask<Result>(
  scheduler: FairScheduler,
  work: Generator<undefined, Result>,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const task: Task = {
      turn: () => {
        try {
          const { done, value } = work.next();
          if (done === true) resolve(value);
          else scheduler.add(task);
        } catch (error) {
          reject(new Error('the log cannot be read', { cause: error }));
        }
      },
    };
    scheduler.add(task);
  });
}
