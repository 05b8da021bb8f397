import { setTimeout as wait } from 'node:timers/promises';
import { StartError } from '../start-error.ts';

/** Servers of NATS that start, or elect a leader, know and answer nothing for some seconds. */
const TIMES = { patience: 15_000, again: 500 };

/**
 * Asks NATS again and again while a node starts.
 *
 * @param describe returns the line of a question that has failed for 15 s
 * @param times milliseconds, which tests make shorter
 * @returns `undefined` if the signal was aborted
 * @throws {StartError} of the question itself, at once; or with that line
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
