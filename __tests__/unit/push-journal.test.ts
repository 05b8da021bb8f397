import { afterEach, expect, jest, test } from '@jest/globals';
import { pino } from 'pino';
import type { PushStore } from '../../src/log/push-store.ts';
import { PushJournal } from '../../src/push/push-journal.ts';
import { until } from '../support/until.ts';

afterEach(() => {
  jest.useRealTimers();
});

test('the journal of notifications is full while the log cannot be written, and empties when it can', async () => {
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

test('a journal of notifications that is closed plans no other try, though the last one failed', async () => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] });
  const apply: PushStore['apply'] = () => Promise.reject(new Error('the disk is full'));
  const journal = new PushJournal({ apply } as PushStore, pino({ level: 'silent' }));
  void journal.write({ kind: 'through', id: 1, through: 1 });
  expect(jest.getTimerCount()).toBe(1);
  await journal.close();
  expect(jest.getTimerCount()).toBe(0);
  void journal.write({ kind: 'through', id: 1, through: 2 });
  expect(jest.getTimerCount()).toBe(0);
});
