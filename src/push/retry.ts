/** The waits after failures: doubled from the first to the longest. */
const FIRST_MILLISECONDS = 4000;
const LONGEST_MILLISECONDS = 3_600_000;

/** A push service that asks for more than this is asked again after it all the same. */
const MOST_ASKED_MILLISECONDS = 86_400_000;

/**
 * How long to wait before the next try.
 *
 * @param failures how many tries in a row have failed; at least one
 * @param asked what the push service asked for (`retryAfter`)
 * @param chance from 0 to 1: those that failed together are not to come back together
 */
export function waitBeforeRetry(failures: number, asked: number | undefined, chance: number): number {
  const doubled = Math.min(LONGEST_MILLISECONDS, FIRST_MILLISECONDS * 2 ** Math.min(failures - 1, 30));
  const own = doubled * (0.5 + chance / 2);
  if (asked === undefined) return own;
  return Math.max(own, Math.min(asked, MOST_ASKED_MILLISECONDS) * (1 + chance / 10));
}

/**
 * Reads `Retry-After`: seconds, or a date (RFC 9110 §10.2.3).
 *
 * @param now milliseconds since the Unix epoch
 * @returns milliseconds from now; `undefined` where there is none, or it is neither
 */
export function retryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
