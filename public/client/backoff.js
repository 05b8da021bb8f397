const FIRST_MILLISECONDS = 2000;
const MOST_MILLISECONDS = 30_000;

/** How long to wait before another try: longer each time, up to 30 s, and never the same for all who wait. */
export class Backoff {
  #tries = 0;

  /** It worked. */
  reset() {
    this.#tries = 0;
  }

  /** @returns {number} milliseconds */
  next() {
    const most = Math.min(MOST_MILLISECONDS, FIRST_MILLISECONDS * 2 ** this.#tries);
    this.#tries++;
    return spread(most / 2, most);
  }
}

/**
 * A span out of a range, so that not all who were cut off come back at once.
 *
 * @param {number} least milliseconds
 * @param {number} most milliseconds
 */
export function spread(least, most) {
  return least + Math.random() * (most - least);
}

/**
 * Waits.
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
    if (signal?.aborted === true) end();
  });
}

/**
 * @param {AbortSignal} signal
 * @returns {Promise<void>} resolves when it is aborted
 */
export function aborted(signal) {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}
