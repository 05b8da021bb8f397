import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Database } from 'better-sqlite3';
import { type Append, prepareAppend } from '../../src/log/append.ts';
import { preparePurge, type Purge } from '../../src/log/purge.ts';
import { draft, newDatabase } from '../support/log-file.ts';
import { cleanUp } from '../support/server.ts';

describe('purging', () => {
  let database: Database;
  let append: Append;
  let purge: Purge;
  beforeEach(() => {
    database = newDatabase();
    append = prepareAppend(database);
    purge = preparePurge(database);
  });
  afterAll(cleanUp);

  const ids = (): unknown[] => database.prepare('SELECT id FROM messages ORDER BY id').pluck().all();
  const noted = (): unknown =>
    Object.fromEntries(
      database.prepare('SELECT address, through FROM purged').raw().all() as [string, number][],
    );

  test('by age takes the old from the beginning, and notes it for both sides and for all', () => {
    append({ tag: 'run', batches: [[100, 200, 300].map((createdAt) => draft({ createdAt }))] });
    const done = purge({ kind: 'aged', now: 1000, after: 0, createdBefore: 300, limit: 10 });
    expect(done).toEqual({ messages: 2, through: 2, more: false });
    expect(ids()).toEqual([3]);
    expect(noted()).toEqual({ alice: 2, bob: 2, '*': 2 });
  });

  test('by age is not stopped by a message that a wrong clock dated into the future', () => {
    append({ tag: 'run', batches: [[100, 9999, 200, 900].map((createdAt) => draft({ createdAt }))] });
    purge({ kind: 'aged', now: 1000, after: 0, createdBefore: 300, limit: 10 });
    expect(ids()).toEqual([2, 4]);
  });

  test('goes on where its limit ended it', () => {
    append({ tag: 'run', batches: [[1, 2, 3].map((createdAt) => draft({ createdAt }))] });
    const first = purge({ kind: 'aged', now: 1000, after: 0, createdBefore: 300, limit: 2 });
    expect(first).toEqual({ messages: 2, through: 2, more: true });
    purge({ kind: 'aged', now: 1000, after: first.through, createdBefore: 300, limit: 2 });
    expect(ids()).toEqual([]);
  });

  test('of what has expired is never a gap, whichever bound comes to it first', () => {
    append({ tag: 'run', batches: [[draft({ expiresAt: 500 }), draft({ expiresAt: 600 })]] });
    purge({ kind: 'surplus', now: 500, recipient: 'bob', after: 0, through: 1, limit: 10 });
    purge({ kind: 'expired', now: 600, limit: 10 });
    expect(ids()).toEqual([]);
    expect(noted()).toEqual({});
  });

  test('keeps the newest read marker of a pair, and takes it when another has its place', () => {
    const marker = (messageId: number): unknown =>
      append({ tag: 'run', batches: [[draft({ type: 'read', content: JSON.stringify({ messageId }) })]] });
    append({ tag: 'run', batches: [[draft()]] });
    marker(1);
    purge({ kind: 'surplus', now: 0, recipient: 'bob', after: 0, through: 2, limit: 10 });
    expect(ids()).toEqual([2]);
    marker(2);
    purge({ kind: 'surplus', now: 0, recipient: 'bob', after: 0, through: 3, limit: 10 });
    expect(ids()).toEqual([3]);
  });

  test('looks a pair up by its index, however many messages it has', () => {
    const plan = (sql: string): string =>
      (database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[])
        .map(({ detail }) => detail)
        .join();
    expect(
      plan("SELECT max(id) FROM pairMessages WHERE recipient = 'a' AND sender = 'b' AND counts = 1"),
    ).toContain('USING PRIMARY KEY (recipient=? AND sender=? AND counts=?)');
  });
});
