import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import type { PushStore } from '../../src/log/push-store.ts';
import { PushJournal } from '../../src/push/push-journal.ts';
import { until } from '../support/until.ts';

test('a log that cannot be written makes the journal full, until it is written', async () => {
  let isBroken = true;
  let tries = 0;
  const applied: number[] = [];
  const apply: PushStore['apply'] = (entries) => {
    tries++;
    if (isBroken) return Promise.reject(new Error('the disk is full'));
    applied.push(entries.length);
    return Promise.resolve([]);
  };
  const journal = new PushJournal({ apply } as PushStore, pino({ level: 'silent' }));
  const written: Promise<void>[] = [];
  while (!journal.isFull && written.length < 100_000) {
    written.push(journal.write({ kind: 'through', id: 1, through: 1 }));
  }
  expect(written).toHaveLength(5000);
  await until(() => tries === 1, 'a try');
  // Nothing is lost by a try that fails.
  expect(journal.isFull).toBe(true);
  isBroken = false;
  await Promise.all(written);
  expect([journal.isFull, applied]).toEqual([false, [5000]]);
});
