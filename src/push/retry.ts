/** The wait doubles from the first to the longest. */
const FIRST_MILLISECONDS = 4000;
const LONGEST_MILLISECONDS = 3_600_000;

/** A push service that asks for a longer wait is tried again after this time anyway. */
const MAX_RETRY_AFTER_MILLISECONDS = 86_400_000;

/**
 * Returns the wait before a retry, in milliseconds.
 *
 * @param failures the number of failed attempts in a row, at least one
 * @param retryAfter milliseconds that the push service asked for
 * @param random from 0 to 1: devices that failed together must not return together
 */
export function waitBeforeRetry(failures: number, retryAfter: number | undefined, random: number): number {
  const doubled = Math.min(LONGEST_MILLISECONDS, FIRST_MILLISECONDS * 2 ** Math.min(failures - 1, 30));
  const own = doubled * (0.5 + random / 2);
  if (retryAfter === undefined) return own;
  return Math.max(own, Math.min(retryAfter, MAX_RETRY_AFTER_MILLISECONDS) * (1 + random / 10));
}

/**
 * Parses `Retry-After`: seconds, or a date (RFC 9110 §10.2.3).
 *
 * @param now milliseconds since the Unix epoch
 * @returns milliseconds from now; `undefined` without the header, or if it is neither
 */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
