import { setTimeout as wait } from 'node:timers/promises';
import { StartError } from '../start-error.ts';

/** Servers of NATS that are starting or electing a leader answer nothing for some seconds. */
const TIMES = { patience: 15_000, again: 500 };

/**
 * Asks NATS repeatedly while a node starts, until it answers.
 *
 * @param describe returns the error line for a request that has failed for 15 s
 * @param times milliseconds, which tests shorten
 * @returns `undefined` if the signal was aborted
 * @throws {StartError} at once, if `ask` throws one; else with the line of `describe` after 15 s
 */
export async function patiently<T>(
  ask: () => Promise<T>,
  signal: AbortSignal,
  describe: (error: Error) => string,
  times = TIMES,
): Promise<T | undefined> {
  const end = performance.now() + times.patience;
  while (!signal.aborted) {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof StartError) throw error;
      if (performance.now() > end) throw new StartError(describe(error as Error), { cause: error });
    }
    await wait(times.again, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}
