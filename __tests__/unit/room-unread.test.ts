import { afterAll, beforeEach, expect, test } from '@jest/globals';
import type { Database } from 'better-sqlite3';
import { prepareProjection } from '../../src/log/replica/projection.ts';
import { Unread } from '../../src/log/replica/unread.ts';
import type { Draft } from '../../src/message.ts';
import { type AppendBatches, draft, newDatabase, prepareAppends, TIME } from '../support/log-file.ts';
import { cleanUp } from '../support/server.ts';

/** More than are looked at one by one, however fast the machine is. */
const MANY = 100_000;

let database: Database;
let append: AppendBatches;
beforeEach(() => {
  database = newDatabase();
  append = prepareAppends(database);
});
afterAll(cleanUp);

/** Stores messages to the room, so many of each. */
function store(...drafts: readonly (Partial<Draft> & { readonly count?: number })[]): void {
  for (const { count = 1, ...fields } of drafts) {
    const one = draft({ recipient: 'room', ...fields });
    append([Array.from({ length: count }, () => one)]);
  }
}

/** Returns the number of messages of the room that Ann has not read. */
const unread = (after = 0, reader = 'ann'): number =>
  new Unread(database).ofRoom({ room: 'room', reader, after, head: 10 * MANY, now: TIME + 1000 });

test.each([
  ['projected', MANY * 2],
  ['projected in part', MANY / 2],
  ['not projected', 0],
])('unread messages of others are found among very many of one’s own, %s', (_what, projected) => {
  store({ sender: 'bob', count: 3 }, { sender: 'ann', count: MANY }, { sender: 'cleo', count: 2 });
  prepareProjection(database)(projected);
  expect([unread(), unread(1), unread(MANY), unread(MANY + 4)]).toEqual([5, 4, 2, 1]);
  expect(unread(0, 'bob')).toBe(1000);
});

test('unread messages of others are found among very many in the background', () => {
  store(
    { sender: 'bob' },
    { sender: 'meter', count: MANY, background: 1 },
    { sender: 'cleo', type: 'order' },
  );
  prepareProjection(database)(MANY * 2);
  expect(unread()).toBe(2);
});

test('very many expired messages are not unread, nor are messages before a read marker', () => {
  store({ sender: 'bob', count: MANY, ttl: 1 });
  prepareProjection(database)(MANY * 2);
  expect([unread(), unread(MANY)]).toEqual([0, 0]);
});

test('unread messages of very many senders are counted to 1000 and no further', () => {
  const senders = Array.from({ length: 3000 }, (_, index) =>
    draft({ recipient: 'room', sender: `${index}` }),
  );
  append([senders]);
  store({ sender: 'ann', count: MANY });
  prepareProjection(database)(MANY * 2);
  expect([unread(), unread(2500)]).toEqual([1000, 500]);
});
