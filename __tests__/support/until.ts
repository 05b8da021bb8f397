import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until a condition holds, looking every few milliseconds.
 *
 * @param what named in the error where it does not come to hold
 * @throws {Error} after `milliseconds`
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = condition.toString(),
  milliseconds = 60_000,
): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`it did not come to be in ${milliseconds} ms: ${what}`);
    await sleep(5);
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
