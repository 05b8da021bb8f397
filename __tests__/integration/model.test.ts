import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { ModelRun, type Report } from '../support/model-run.ts';
import { Random, seedsOf } from '../support/random.ts';
import { cleanUp, newFolder } from '../support/server.ts';

afterEach(cleanUp);

/** Each seed takes some ten seconds. */
const STEPS = 300;

const minutes = Number(process.env['RANDOM_MINUTES'] ?? 0);

async function play(seed: number): Promise<Report> {
  const run = await ModelRun.start(new Random(seed), join(newFolder(), 'tidings.sqlite'));
  try {
    await run.run(STEPS);
  } catch (error) {
    if (error instanceof Error)
      error.message = `TEST_SEED=${seed}, step ${run.report.steps}: ${error.message}`;
    throw error;
  }
  if (minutes > 0) process.stderr.write(`${seed}: ${JSON.stringify(run.report)}\n`);
  return run.report;
}

describe('a log under random use, over restarts and crashes', () => {
  test.each(seedsOf([1, 7, 2, 5, 8], 2))(
    'random use keeps the promises of docs/protocol.md: TEST_SEED=%d',
    async (seed) => {
      const report = await play(seed);
      expect(report.stored).toBeGreaterThan(100);
      expect(report.repeats).toBeGreaterThan(0);
      expect(report.conflicts).toBeGreaterThan(0);
      expect(report.kills).toBeGreaterThan(0);
      expect(report.delivered).toBeGreaterThan(100);
    },
  );
});

const longRun = minutes > 0 ? test : test.skip;
longRun(
  'random use over many seeds keeps the promises of docs/protocol.md (only with RANDOM_MINUTES)',
  async () => {
    const end = performance.now() + minutes * 60_000;
    while (performance.now() < end) {
      const seed = Math.floor(Math.random() * 2 ** 32);
      await play(seed);
      await cleanUp();
    }
  },
  minutes * 60_000 + 120_000,
);
