import { describe, expect, test } from '@jest/globals';
import { parseRetryAfter, waitBeforeRetry } from '../../src/push/retry.ts';

const HOUR = 3_600_000;

describe('the wait before a retry', () => {
  test('the wait before a retry doubles from seconds to an hour, and no further', () => {
    const waits = Array.from({ length: 40 }, (_, index) => waitBeforeRetry(index + 1, undefined, 1));
    expect(waits.slice(0, 3)).toEqual([4000, 8000, 16_000]);
    expect(waits.slice(-2)).toEqual([HOUR, HOUR]);
    for (const [index, wait] of waits.entries()) expect(wait).toBeGreaterThanOrEqual(waits[index - 1] ?? 0);
  });

  test('the wait before a retry differs between devices that failed together', () => {
    expect([0, 0.5, 1].map((chance) => waitBeforeRetry(1, undefined, chance))).toEqual([2000, 3000, 4000]);
  });

  test('the wait before a retry is at least the one that the push service asks for, up to a day', () => {
    expect(waitBeforeRetry(1, 60_000, 0)).toBe(60_000);
    expect(waitBeforeRetry(1, 60_000, 1)).toBeCloseTo(66_000);
    expect(waitBeforeRetry(40, 1000, 1)).toBe(HOUR);
    expect(waitBeforeRetry(1, 1e12, 0)).toBe(24 * HOUR);
  });
});

test('Retry-After is read as seconds, or as a date', () => {
  const now = Date.UTC(2026, 10, 21);
  expect(parseRetryAfter('120', now)).toBe(120_000);
  expect(parseRetryAfter('0', now)).toBe(0);
  expect(parseRetryAfter('Sat, 21 Nov 2026 00:01:00 GMT', now)).toBe(60_000);
  expect(parseRetryAfter('Fri, 20 Nov 2026 00:00:00 GMT', now)).toBe(0);
  for (const none of [undefined, 'soon', '-', '']) expect(parseRetryAfter(none, now)).toBeUndefined();
});
