import { afterEach, describe, expect, test } from '@jest/globals';
import { Fuzz } from './fuzz.ts';
import { Random, seedsOf } from '../support/random.ts';
import { cleanUp } from '../support/server.ts';

afterEach(cleanUp);

const REQUESTS = 1000;

const more = Array.from({ length: Number(process.env['FUZZ_RUNS'] ?? 0) }, () =>
  Math.floor(Math.random() * 2 ** 32),
);
const seeds = [...seedsOf([1, 2, 3], 1), ...more];

describe.each([
  ['with a key', false],
  ['without a key', true],
])('hostile requests to a service %s', (_mode, open) => {
  test.each(seeds)('hostile requests break no law of answers and deliveries: TEST_SEED=%d', async (seed) => {
    const fuzz = await Fuzz.start(new Random(seed), open);
    try {
      const report = await fuzz.run(REQUESTS);
      if (more.length > 0) process.stderr.write(`${seed}: ${JSON.stringify(report)}\n`);
      // It came through to where the laws are.
      expect(report.stored).toBeGreaterThan(REQUESTS / 20);
      for (const status of [101, 200, 201, 400, 404, 405, 426])
        expect(report.statuses[status]).toBeGreaterThan(0);
      expect(report.statuses[open ? 403 : 401]).toBeGreaterThan(0);
    } finally {
      fuzz.stop();
    }
  });
});
