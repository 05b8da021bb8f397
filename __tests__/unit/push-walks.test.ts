import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Turns } from '../../src/hub/turns.ts';
import type { PushPlace } from '../../src/log/push-store.ts';
import { type ReadPage, Walks } from '../../src/push/walks.ts';
import { until } from '../support/until.ts';

const logger = pino({ level: 'silent' });

const places = Array.from({ length: 1000 }, (_, index): PushPlace => {
  return { id: index + 1, recipient: 'room', endpoint: `e${index}` };
});

const read: ReadPage = (after, limit) => places.slice(after, after + limit);

test('all are found once, page by page, and others have their turns between the pages', async () => {
  const turns = new Turns();
  const found: number[] = [];
  const walks = new Walks(turns, logger, ({ id }) => found.push(id));
  const foundAtTurns: number[] = [];
  const other = {
    turn: (): void => {
      foundAtTurns.push(found.length);
      if (found.length < places.length) turns.add(other);
    },
  };
  walks.go('room', read);
  turns.add(other);
  await until(() => found.length === places.length, 'all');
  expect(found).toEqual(places.map(({ id }) => id));
  expect(new Set(foundAtTurns).size).toBeGreaterThan(3);
});

test('those that are asked for while they are gone through are gone through once more, however often', async () => {
  let found = 0;
  const walks = new Walks(new Turns(), logger, () => found++);
  for (let count = 0; count < 5; count++) walks.go('room', read);
  await until(() => found === 2 * places.length, 'two walks');
  walks.go('other', read);
  await until(() => found >= 3 * places.length, 'a third one');
  expect(found).toBe(3 * places.length);
});

test('at the end of the service no other page is read', async () => {
  const turns = new Turns();
  let pages = 0;
  const walks = new Walks(turns, logger, () => undefined);
  walks.go('room', (after, limit) => {
    pages++;
    walks.end();
    return read(after, limit);
  });
  await until(() => pages === 1, 'a page');
  // After a turn of its own, which would have been that of the second page.
  await new Promise<void>((resolve) => turns.add({ turn: resolve }));
  expect(pages).toBe(1);
});
