import { expect, test } from '@jest/globals';
import { backoff, spread } from '../../public/client/backoff.js';

test('a client waits up to twice as long after each failure, up to 30 s, and clients wait differently', () => {
  const most = [2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000];
  const seen = new Set<number>();
  for (let client = 0; client < 50; client++) {
    for (const [tries, limit] of most.entries()) {
      const wait = spread(backoff(tries));
      expect(wait).toBeGreaterThanOrEqual(limit / 2);
      expect(wait).toBeLessThanOrEqual(limit);
      seen.add(wait);
    }
    expect(spread(backoff(0))).toBeLessThanOrEqual(2000);
  }
  expect(seen.size).toBeGreaterThan(300);
});
