import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Database } from 'better-sqlite3';
import { type Append, prepareAppend } from '../../src/log/append.ts';
import type { Draft } from '../../src/message.ts';
import { draft, newDatabase } from '../support/log-file.ts';
import { withRandom } from '../support/random.ts';
import { cleanUp } from '../support/server.ts';

describe('appending', () => {
  let database: Database;
  let append: Append;
  beforeEach(() => {
    database = newDatabase();
    append = prepareAppend(database);
  });
  afterAll(cleanUp);

  const rows = (sql: string): unknown[] => database.prepare(sql).raw().all();

  test('ids go up by one over all addresses and batches, and the run is on record with its first', () => {
    const batches = [[draft()], [draft({ recipient: 'carol' }), draft()]];
    expect(append({ tag: 'one', batches })).toEqual([[1], [2, 3]]);
    expect(append({ tag: 'two', batches: [[draft()]] })).toEqual([[4]]);
    expect(rows('SELECT firstId, tag FROM runs')).toEqual([
      [1, 'one'],
      [4, 'two'],
    ]);
    expect(rows('SELECT head FROM position')).toEqual([[4]]);
  });

  test('a batch with a fault leaves nothing behind, and those beside it are stored', () => {
    const key = { idempotencyKey: 'k' };
    const batches = [[draft(key)], [draft(), draft({ ...key, content: '"other"' })], [draft()]];
    expect(append({ tag: 'one', batches })).toEqual([[1], { fault: 'key-conflict', index: 1 }, [2]]);
    expect(rows('SELECT id FROM messages')).toEqual([[1], [2]]);
  });

  test('an id is not given again when the message that had it is gone', () => {
    append({ tag: 'one', batches: [[draft(), draft()]] });
    database.exec('DELETE FROM messages');
    expect(append({ tag: 'one', batches: [[draft()]] })).toEqual([[3]]);
  });

  test('where nothing new is stored, no run is noted', () => {
    append({ tag: 'one', batches: [[draft({ idempotencyKey: 'k' })]] });
    append({ tag: 'two', batches: [[draft({ idempotencyKey: 'k' })]] });
    expect(rows('SELECT tag FROM runs')).toEqual([['one']]);
  });

  test('a key holds for its sender and recipient until its message has expired', () => {
    const keyed = draft({ idempotencyKey: 'k', createdAt: 1000, expiresAt: 2000 });
    append({ tag: 'one', batches: [[keyed]] });
    const at = (createdAt: number): unknown =>
      append({ tag: 'one', batches: [[{ ...keyed, createdAt, expiresAt: 9000 }]] })[0];
    expect(at(1999)).toEqual([expect.objectContaining({ id: 1 })]);
    expect(at(2000)).toEqual([2]);
    expect(at(2001)).toEqual([expect.objectContaining({ id: 2 })]);
    expect(append({ tag: 'one', batches: [[{ ...keyed, sender: 'carol' }]] })).toEqual([[3]]);
  });

  test('a read marker never moves back, and never ahead of the log', () => {
    const marker = (messageId: number): unknown =>
      append({ tag: 'one', batches: [[draft({ type: 'read', content: JSON.stringify({ messageId }) })]] })[0];
    expect(marker(1)).toEqual({ fault: 'marker-ahead', index: 0 });
    append({ tag: 'one', batches: [[draft(), draft(), draft()]] });
    expect(marker(2)).toEqual([4]);
    expect(marker(2)).toEqual([expect.objectContaining({ id: 4 })]);
    expect(marker(1)).toEqual([expect.objectContaining({ id: 4 })]);
    expect(marker(4)).toEqual([5]);
    expect(marker(6)).toEqual({ fault: 'marker-ahead', index: 0 });
  });

  test('the last id is the greatest safe integer', () => {
    database.exec(`UPDATE position SET head = ${Number.MAX_SAFE_INTEGER - 1}`);
    expect(append({ tag: 'one', batches: [[draft()], [draft()]] })).toEqual([
      [Number.MAX_SAFE_INTEGER],
      { fault: 'ids-exhausted', index: 0 },
    ]);
  });

  test('a batch of any length and mixture is stored as if its messages came one by one', () =>
    withRandom((random) => {
      // Long runs of plain messages, and here and there one that has to be looked up.
      const any = (index: number): Draft => {
        const recipient = random.pick(['bob', 'carol']);
        const kind = random.integer(0, 25);
        if (kind === 0) return draft({ recipient, idempotencyKey: random.pick(['k', 'l']) });
        if (kind === 1) return draft({ recipient, type: 'read', content: '{"messageId":1}' });
        return draft({ recipient, content: `"${index}"`, createdAt: index, expiresAt: 2_000_000 + index });
      };
      for (let round = 0; round < 12; round++) {
        const batch = Array.from({ length: random.integer(2, 70) }, (_, index) => any(index));
        const stored = (batches: Draft[][]): unknown[] => {
          const log = newDatabase();
          const results = prepareAppend(log)({ tag: 'one', batches: [[draft()], ...batches] });
          const tables = ['messages', 'readMarkers', 'position', 'runs'].map((table) =>
            log.prepare(`SELECT * FROM ${table}`).all(),
          );
          log.close();
          return [results.flat(), tables];
        };
        expect(stored([batch])).toEqual(stored(batch.map((one) => [one])));
      }
      return Promise.resolve();
    }));

  test('a long batch that reaches the last id leaves nothing behind', () => {
    const batch = Array.from({ length: 60 }, () => draft());
    database.exec(`UPDATE position SET head = ${Number.MAX_SAFE_INTEGER - 49}`);
    expect(append({ tag: 'one', batches: [batch] })).toEqual([{ fault: 'ids-exhausted', index: 49 }]);
    expect(rows('SELECT count(*) FROM messages')).toEqual([[0]]);
    database.exec(`UPDATE position SET head = ${Number.MAX_SAFE_INTEGER - 60}`);
    expect(append({ tag: 'one', batches: [batch] })[0]).toHaveLength(60);
  });

  test('the writer flushes to the disk at every commit', () => {
    expect(database.pragma('synchronous', { simple: true })).toBe(2);
    expect(database.pragma('journal_mode', { simple: true })).toBe('wal');
  });
});
