import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Database } from 'better-sqlite3';
import { type ApplyPurge, preparePurge } from '../../src/log/replica/purge.ts';
import {
  type AppendBatches,
  draft,
  newDatabase,
  prepareAppends,
  storeDated,
  TIME,
} from '../support/log-file.ts';
import { cleanUp } from '../support/server.ts';

describe('purging', () => {
  let database: Database;
  let append: AppendBatches;
  let purge: ApplyPurge;
  beforeEach(() => {
    database = newDatabase();
    append = prepareAppends(database);
    purge = preparePurge(database);
  });
  afterAll(cleanUp);

  const ids = (): unknown[] => database.prepare('SELECT id FROM messages ORDER BY id').pluck().all();
  const noted = (): unknown =>
    Object.fromEntries(
      database.prepare('SELECT address, through FROM purged').raw().all() as [string, number][],
    );

  test('a purge of proposers forgets the counters of those that were silent for long, the oldest first', () => {
    const add = database.prepare('INSERT INTO proposers (proposer, counter, time) VALUES (?, 1, ?)');
    for (const [proposer, time] of Object.entries({ a: 300, b: 100, c: 200, d: 901 }))
      add.run(proposer, time);
    const left = (): unknown =>
      database.prepare('SELECT proposer FROM proposers ORDER BY proposer').pluck().all();
    const bound = { by: 'proposers', age: 100, limit: 2 } as const;
    expect(purge({ ...bound, now: 1000 }, 100)).toMatchObject({ messages: 0, more: false });
    expect(left()).toEqual(['a', 'b', 'c', 'd']);
    expect(purge({ ...bound, now: 1000 }, 2000)).toMatchObject({ messages: 0, more: true });
    expect(left()).toEqual(['a', 'd']);
    expect(purge({ ...bound, now: 1000 }, 2000).more).toBe(false);
    expect(left()).toEqual(['d']);
  });

  test('a purge by age removes the oldest messages, and notes that for both sides and for all', () => {
    for (const time of [100, 200, 300]) append([[draft()]], time);
    const done = purge({ by: 'age', now: 1000, after: 0, age: 700, limit: 10 }, 1000);
    expect(done).toEqual({ kind: 'purge', messages: 2, through: 2, more: false });
    expect(ids()).toEqual([3]);
    expect(noted()).toEqual({ alice: 2, bob: 2, '*': 2 });
  });

  test('a purge by age is not stopped by a message that a wrong clock dated into the future', () => {
    const times = [100, 9999, 200, 900];
    storeDated(
      database,
      times.map((createdAt) => ({ createdAt })),
    );
    purge({ by: 'age', now: 1000, after: 0, age: 700, limit: 10 }, 1000);
    expect(ids()).toEqual([2, 4]);
  });

  test('a purge removes nothing that is not due both by the clock of its proposer and by the time of its entry', () => {
    append([[draft({ ttl: 5 }), draft()]], 0);
    const bounds = [
      [4999, 9000],
      [9000, 4999],
    ] as const;
    for (const [now, logTime] of bounds) {
      expect(purge({ by: 'expiry', now, limit: 10 }, logTime).messages).toBe(0);
      expect(purge({ by: 'age', now, after: 0, age: 4999, limit: 10 }, logTime).messages).toBe(0);
    }
    expect(purge({ by: 'expiry', now: 5000, limit: 10 }, 5000).messages).toBe(1);
    expect(purge({ by: 'age', now: 5000, after: 0, age: 4999, limit: 10 }, 5000).messages).toBe(1);
  });

  test('a purge goes on where its limit ended it', () => {
    for (const time of [1, 2, 3]) append([[draft()]], time);
    const first = purge({ by: 'age', now: 1000, after: 0, age: 700, limit: 2 }, 1000);
    expect(first).toEqual({ kind: 'purge', messages: 2, through: 2, more: true });
    purge({ by: 'age', now: 1000, after: first.through, age: 700, limit: 2 }, 1000);
    expect(ids()).toEqual([]);
  });

  test('a purge of expired messages leaves no gap, whichever bound reaches them first', () => {
    append([[draft({ ttl: 5 }), draft({ ttl: 6 })]], 0);
    purge({ by: 'count', now: 5000, recipient: 'bob', after: 0, through: 1, limit: 10 }, 5000);
    purge({ by: 'expiry', now: 6000, limit: 10 }, 6000);
    expect(ids()).toEqual([]);
    expect(noted()).toEqual({});
  });

  test('a purge keeps the newest read marker of a pair, and removes it when another replaces it', () => {
    const marker = (messageId: number): unknown =>
      append([[draft({ type: 'read', content: JSON.stringify({ messageId }) })]]);
    append([[draft()]]);
    marker(1);
    purge({ by: 'count', now: TIME, recipient: 'bob', after: 0, through: 2, limit: 10 }, TIME);
    expect(ids()).toEqual([2]);
    marker(2);
    purge({ by: 'count', now: TIME, recipient: 'bob', after: 0, through: 3, limit: 10 }, TIME);
    expect(ids()).toEqual([3]);
  });

  test('a purge finds a pair by its index, however many messages it has', () => {
    const plan = (sql: string): string =>
      (database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[])
        .map(({ detail }) => detail)
        .join();
    expect(
      plan("SELECT max(id) FROM pairMessages WHERE recipient = 'a' AND sender = 'b' AND counts = 1"),
    ).toContain('USING PRIMARY KEY (recipient=? AND sender=? AND counts=?)');
  });
});
