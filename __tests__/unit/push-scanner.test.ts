import { setImmediate } from 'node:timers/promises';
import { afterEach, expect, jest, test } from '@jest/globals';
import { pino } from 'pino';
import { FairScheduler } from '../../src/fair-scheduler.ts';
import type { SubscriptionRef } from '../../src/log/push-store.ts';
import { type ReadPage, SubscriptionScanner } from '../../src/push/scanner.ts';
import { until } from '../support/until.ts';

afterEach(() => {
  jest.useRealTimers();
});

const logger = pino({ level: 'silent' });

const subscriptions = Array.from({ length: 1000 }, (_, index): SubscriptionRef => {
  return { id: index + 1, recipient: 'room', endpoint: `e${index}` };
});

const read: ReadPage = (after, limit) => subscriptions.slice(after, after + limit);

test('a scan finds each subscription once, page by page, and other tasks have their turns between the pages', async () => {
  const scheduler = new FairScheduler();
  const found: number[] = [];
  const scanner = new SubscriptionScanner(scheduler, logger, ({ id }) => found.push(id));
  const foundAtTurns: number[] = [];
  const other = {
    turn: (): void => {
      foundAtTurns.push(found.length);
      if (found.length < subscriptions.length) scheduler.add(other);
    },
  };
  scanner.scan('room', read);
  scheduler.add(other);
  await until(() => found.length === subscriptions.length, 'all');
  expect(found).toEqual(subscriptions.map(({ id }) => id));
  expect(new Set(foundAtTurns).size).toBeGreaterThan(3);
});

test('a scan that is asked for while it runs is repeated once, however often it is asked for', async () => {
  let found = 0;
  const scanner = new SubscriptionScanner(new FairScheduler(), logger, () => found++);
  for (let count = 0; count < 5; count++) scanner.scan('room', read);
  await until(() => found === 2 * subscriptions.length, 'two scans');
  scanner.scan('other', read);
  await until(() => found >= 3 * subscriptions.length, 'a third one');
  expect(found).toBe(3 * subscriptions.length);
});

test('a scanner that was stopped reads no further page', async () => {
  const scheduler = new FairScheduler();
  let pages = 0;
  const scanner = new SubscriptionScanner(scheduler, logger, () => undefined);
  scanner.scan('room', (after, limit) => {
    pages++;
    scanner.stop();
    return read(after, limit);
  });
  await until(() => pages === 1, 'a page');
  // A task of its own takes the turn after the one in which the second page would be read.
  await new Promise<void>((resolve) => scheduler.add({ turn: resolve }));
  expect(pages).toBe(1);
});

test('a scanner that was stopped does not try a log again that could not be read', async () => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'performance', 'queueMicrotask'] });
  const scanner = new SubscriptionScanner(new FairScheduler(), logger, () => undefined);
  scanner.scan('room', () => {
    throw new Error('the disk fails');
  });
  while (jest.getTimerCount() === 0) await setImmediate();
  scanner.stop();
  expect(jest.getTimerCount()).toBe(0);
});
