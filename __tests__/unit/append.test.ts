import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Database } from 'better-sqlite3';
import { prepareProjection } from '../../src/log/replica/projection.ts';
import type { Draft } from '../../src/message.ts';
import {
  type AppendBatches,
  type ApplyOne,
  draft,
  newDatabase,
  prepareAppends,
  prepareEntries,
} from '../support/log-file.ts';
import { withRandom } from '../support/random.ts';
import { cleanUp } from '../support/server.ts';

describe('appending', () => {
  let database: Database;
  let append: AppendBatches;
  let apply: ApplyOne;
  beforeEach(() => {
    database = newDatabase();
    append = prepareAppends(database);
    apply = prepareEntries(database);
  });
  afterAll(cleanUp);

  const rows = (sql: string): unknown[] => database.prepare(sql).raw().all();

  test('ids go up by one over all addresses and batches, and an epoch is on record with its first', () => {
    const batches = [[draft()], [draft({ recipient: 'carol' }), draft()]];
    expect(apply({ kind: 'epoch', epoch: 'one' })).toEqual({ kind: 'epoch', firstId: 1 });
    expect(append(batches)).toEqual([[1], [2, 3]]);
    expect(apply({ kind: 'epoch', epoch: 'two' })).toEqual({ kind: 'epoch', firstId: 4 });
    expect(append([[draft()]])).toEqual([[4]]);
    expect(rows('SELECT firstId, epoch FROM epochs')).toEqual([
      [1, 'one'],
      [4, 'two'],
    ]);
    expect(rows('SELECT head FROM position')).toEqual([[4]]);
  });

  test('a batch with a fault leaves nothing behind, and those beside it are stored', () => {
    const key = { idempotencyKey: 'k' };
    const batches = [[draft(key)], [draft(), draft({ ...key, content: '"other"' })], [draft()]];
    expect(append(batches)).toEqual([[1], { fault: 'key-conflict', index: 1 }, [2]]);
    expect(rows('SELECT id FROM messages')).toEqual([[1], [2]]);
  });

  test('an id is not given again when the message that had it is gone', () => {
    append([[draft(), draft()]]);
    database.exec('DELETE FROM messages');
    expect(append([[draft()]])).toEqual([[3]]);
  });

  test('an epoch that is proposed again, since its commit was not acknowledged, is the one on record', () => {
    const again = { kind: 'epoch', epoch: 'one' } as const;
    const first = apply(again);
    append([[draft()]]);
    expect(apply(again)).toEqual(first);
    expect(append([[draft()]])).toEqual([[2]]);
    expect(rows('SELECT firstId, epoch FROM epochs')).toEqual([[1, 'one']]);
  });

  test('an epoch that gave no id is replaced by the next one', () => {
    for (const epoch of ['one', 'two']) apply({ kind: 'epoch', epoch });
    expect(rows('SELECT firstId, epoch FROM epochs')).toEqual([[1, 'two']]);
  });

  test('if nothing new is stored, the position stays as it was', () => {
    append([[draft({ idempotencyKey: 'k' })]], 1000);
    const before = rows('SELECT * FROM position');
    append([[draft({ idempotencyKey: 'k' })]], 2000);
    expect(rows('SELECT * FROM position')).toEqual(before);
  });

  test('a key holds for its sender and recipient until its message has expired', () => {
    const keyed = draft({ idempotencyKey: 'k', ttl: 1 });
    append([[keyed]], 1000);
    const at = (time: number): unknown => append([[{ ...keyed, ttl: 7 }]], time)[0];
    expect(at(1999)).toEqual([expect.objectContaining({ id: 1 })]);
    expect(at(2000)).toEqual([2]);
    expect(at(2001)).toEqual([expect.objectContaining({ id: 2 })]);
    expect(append([[{ ...keyed, sender: 'carol' }]], 2001)).toEqual([[3]]);
  });

  const mark = (messageId: number, fields: Partial<Draft> = {}): unknown =>
    append([[draft({ type: 'read', content: JSON.stringify({ messageId }), ...fields })]])[0];
  const changed = (id: number, messageId: number): unknown => [
    { changed: expect.objectContaining({ id, type: 'read', content: JSON.stringify({ messageId }) }) },
  ];
  const standing = (id: number): unknown => [expect.objectContaining({ id })];

  test('a read marker never moves back', () => {
    append([[draft(), draft(), draft()]]);
    expect(mark(2)).toEqual([4]);
    expect(mark(2)).toEqual(standing(4));
    expect(mark(1)).toEqual(standing(4));
    expect(mark(4)).toEqual([5]);
  });

  describe.each<[string, (database: Database) => void]>([
    ['before the conversations are projected', () => undefined],
    ['after that', (log) => void prepareProjection(log)(1000)],
  ])('a read marker ahead of the log, %s,', (_when, project) => {
    const store = (...drafts: Partial<Draft>[]): void => {
      append([drafts.map(draft)]);
      project(database);
    };

    test('a read marker ahead of the log is stored at the newest message of its addresses, and never moves back', () => {
      store({}, { sender: 'bob', recipient: 'alice' }, { sender: 'carol' }, { recipient: 'dan' });
      expect(mark(9, { readsRecipient: true })).toEqual(changed(5, 2));
      expect(mark(900)).toEqual(standing(5));
      store({});
      expect(mark(900)).toEqual(changed(7, 6));
      expect(mark(4)).toEqual(standing(7));
    });

    test('a read marker ahead of the log is stored at the newest message of a room, if its reader may read that', () => {
      store({ recipient: 'room' }, { recipient: 'room', sender: 'carol' }, { sender: 'carol' });
      expect(mark(9, { recipient: 'room', readsRecipient: true })).toEqual(changed(4, 2));
      expect(mark(9, { recipient: 'room', sender: 'eve' })).toEqual(changed(5, 1));
    });

    test('a read marker ahead of the log covers nothing if there is no message that counts', () => {
      store({ sender: 'carol', recipient: 'dan' }, { background: 1 });
      expect(mark(9, { readsRecipient: true })).toEqual(changed(3, 1));
      project(database);
      expect(mark(9, { readsRecipient: true })).toEqual(standing(3));
    });

    test('a read marker ahead of the log is repeated by its key, though it is stored with another content', () => {
      store({});
      const key = { idempotencyKey: 'k' };
      expect(mark(9, key)).toEqual(changed(2, 1));
      store(...Array.from({ length: 9 }, () => ({})));
      expect(mark(9, key)).toEqual(standing(2));
      expect(mark(1, key)).toEqual(standing(2));
      expect(mark(2, { ...key, content: '{"messageId":0}' })).toEqual({ fault: 'key-conflict', index: 0 });
    });
  });

  test('the content of a repeated key is compared whatever the order of its fields', () => {
    const keyed = (content: string): unknown => append([[draft({ idempotencyKey: 'k', content })]])[0];
    expect(keyed('{"a":[1,{"b":2}],"c":3}')).toEqual([1]);
    expect(keyed('{"c":3,"a":[1,{"b":2}]}')).toEqual(standing(1));
    expect(keyed('{"a":[1,{"b":2}],"c":4}')).toEqual({ fault: 'key-conflict', index: 0 });
    expect(keyed('{"a":[1,{"b":2}],"c":33}')).toEqual({ fault: 'key-conflict', index: 0 });
  });

  test('the last id is the greatest safe integer', () => {
    database.exec(`UPDATE position SET head = ${Number.MAX_SAFE_INTEGER - 1}`);
    expect(append([[draft()], [draft()]])).toEqual([
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
        return draft({ recipient, content: `"${index}"`, ttl: 1000 + index });
      };
      for (let round = 0; round < 12; round++) {
        const batch = Array.from({ length: random.integer(2, 70) }, (_, index) => any(index));
        const stored = (batches: Draft[][]): unknown[] => {
          const log = newDatabase();
          const results = prepareAppends(log)([[draft()], ...batches]);
          // Random, so that each log has its own.
          log.exec("UPDATE position SET logId = ''");
          const tables = ['messages', 'readMarkers', 'position', 'epochs'].map((table) =>
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
    expect(append([batch])).toEqual([{ fault: 'ids-exhausted', index: 49 }]);
    expect(rows('SELECT count(*) FROM messages')).toEqual([[0]]);
    database.exec(`UPDATE position SET head = ${Number.MAX_SAFE_INTEGER - 60}`);
    expect(append([batch])[0]).toHaveLength(60);
  });

  test('the writer flushes to the disk at every commit', () => {
    expect(database.pragma('synchronous', { simple: true })).toBe(2);
    expect(database.pragma('journal_mode', { simple: true })).toBe('wal');
  });
});
