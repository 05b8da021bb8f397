import { afterAll, expect, test } from '@jest/globals';
import { nextCreatedAt } from '../../src/log/replica/log-time.ts';
import { draft, newDatabase, prepareAppends } from '../support/log-file.ts';
import { cleanUp } from '../support/server.ts';

afterAll(cleanUp);

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 0, 1);

test.each([
  ['the first message', NOW, 0, NOW],
  ['a later entry', NOW + 1, NOW, NOW + 1],
  ['an entry of the same millisecond', NOW, NOW, NOW],
  ['a clock that was set back by a millisecond', NOW - 1, NOW, NOW],
  ['a clock that was ahead by three days', NOW, NOW + 3 * DAY, NOW + 3 * DAY],
  ['a clock that was ahead by more', NOW, NOW + 3 * DAY + 1, NOW],
  ['a clock that is set ahead by a year', NOW + 365 * DAY, NOW, NOW + 365 * DAY],
])(
  'the time of a message is never before that of an earlier one, unless a clock was far ahead: %s',
  (_when, time, last, given) => {
    expect(nextCreatedAt(time, last)).toBe(given);
  },
);

test('messages have the time of the last one until the clock has caught up, and a ttl goes by the clock', () => {
  const database = newDatabase();
  const append = prepareAppends(database);
  for (const time of [NOW, NOW + DAY, NOW + 1000, NOW + 2000, NOW + DAY + 1, NOW + 40 * DAY, NOW + 3000])
    append([[draft({ ttl: 1 })]], time);
  const times = database.prepare('SELECT createdAt, expiresAt FROM messages ORDER BY id').raw().all();
  expect(times).toEqual([
    [NOW, NOW + 1000],
    [NOW + DAY, NOW + DAY + 1000],
    [NOW + DAY, NOW + 2000],
    [NOW + DAY, NOW + 3000],
    [NOW + DAY + 1, NOW + DAY + 1001],
    [NOW + 40 * DAY, NOW + 40 * DAY + 1000],
    [NOW + 3000, NOW + 4000],
  ]);
});
