import { setTimeout as sleep } from 'node:timers/promises';

const MIN_PAUSE_MILLISECONDS = 5;
const MAX_PAUSE_MILLISECONDS = 50;

/** One look and the pause after it count as this long at most. A virtual machine may be stopped for a minute. */
const MAX_COUNTED_MILLISECONDS = 1000;

/**
 * Waits until a condition holds. Each pause between two looks is a tenth of the time waited so far, within bounds: hundreds of
 * looks in a second would take the CPU from the process that the test waits for.
 *
 * @param what named in the error if it never holds
 * @throws {Error} after `milliseconds`, of which each look counts at most a second
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = condition.toString(),
  milliseconds = 60_000,
): Promise<void> {
  let waited = 0;
  let looked = performance.now();
  while (!(await condition())) {
    if (waited > milliseconds) throw new Error(`it did not come to be in ${milliseconds} ms: ${what}`);
    await sleep(Math.min(Math.max(waited / 10, MIN_PAUSE_MILLISECONDS), MAX_PAUSE_MILLISECONDS));
    const now = performance.now();
    waited += Math.min(now - looked, MAX_COUNTED_MILLISECONDS);
    looked = now;
  }
}

/** Returns what a promise settles with, `undefined` if it fails or takes too long. */
export async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  const ending = new AbortController();
  const timeout = sleep(milliseconds, undefined, { signal: ending.signal }).catch(() => undefined);
  try {
    return await Promise.race([promise.catch(() => undefined), timeout]);
  } finally {
    ending.abort();
  }
}
