import type { Task, Turns } from '../hub/turns.ts';

/**
 * Reads the log in turns: after a start there may be very many that want to.
 *
 * @param work yields after each piece, of at most a few milliseconds
 * @returns what it returns in the end
 * @throws {Error} if it throws: the log cannot be read
 */
export function inTurns<Result>(turns: Turns, work: Generator<undefined, Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    const task: Task = {
      turn: () => {
        try {
          const { done, value } = work.next();
          if (done === true) resolve(value);
          else turns.add(task);
        } catch (error) {
          reject(new Error('the log cannot be read', { cause: error }));
        }
      },
    };
    turns.add(task);
  });
}
