const FIRST_MILLISECONDS = 2000;
const MAX_MILLISECONDS = 30_000;

/**
 * Returns the range of the wait before the next try: longer after each failure, up to 30 s.
 *
 * @param {number} tries failures so far
 * @returns {{ min: number, max: number }} milliseconds
 */
export function backoff(tries) {
  const max = Math.min(MAX_MILLISECONDS, FIRST_MILLISECONDS * 2 ** tries);
  return { min: max / 2, max };
}

/**
 * Returns a random number in a range, so that not all clients that were cut off come back at once.
 *
 * @param {{ min: number, max: number }} range milliseconds
 * @returns {number} milliseconds
 */
export function spread({ min, max }) {
  return min + Math.random() * (max - min);
}

/**
 * Waits for a time.
 *
 * @param {number} milliseconds
 * @param {AbortSignal} [signal] ends the wait early
 * @returns {Promise<void>}
 */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener('abort', end);
    if (signal?.aborted) end();
  });
}

/**
 * Waits for a signal.
 *
 * @param {AbortSignal} signal
 * @returns {Promise<unknown>} resolves when it is aborted
 */
export function aborted(signal) {
  return new Promise((resolve) => {
    signal.addEventListener('abort', resolve);
    if (signal.aborted) resolve(undefined);
  });
}
