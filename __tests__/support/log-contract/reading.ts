import { describe, expect, test } from '@jest/globals';
import { until } from '../until.ts';
import { type Subject, taking } from './subject.ts';

/** Declares the tests of cursors and of reads of messages. */
export function describeReading(subject: Subject, isLocal: boolean): void {
  // Restarts and backups are not of the log's history if a stream has it.
  const localTest = isLocal ? test : test.skip;
  describe('cursors', () => {
    test('a cursor leads back to its position', async () => {
      expect(subject.log.cursor(0)).toBe('0');
      await subject.put({}, {});
      expect(subject.log.cursor(2)).toMatch(/^2-[0-9a-z]+$/);
      for (const id of [0, 1, 2]) {
        expect(subject.log.locate(subject.log.cursor(id), ['bob'])).toEqual({
          after: id,
          gap: false,
          purgedThrough: 0,
        });
      }
      expect(subject.log.locate('1', ['bob'])).toMatchObject({ after: 1, gap: false });
    });

    localTest('a cursor is known after restarts, whether they gave ids or not', async () => {
      await subject.put({});
      const first = subject.log.cursor(1);
      await subject.reopen();
      // Nothing was stored: this start is as if it had not been.
      const same = subject.log.cursor(1);
      await subject.reopen();
      await subject.put({});
      const second = subject.log.cursor(2);
      await subject.reopen();
      expect(same).toBe(first);
      expect(second.split('-')[1]).not.toBe(first.split('-')[1]);
      for (const [cursor, after] of [
        [first, 1],
        [second, 2],
      ] as const)
        expect(subject.log.locate(cursor, ['bob'])).toMatchObject({ after, gap: false });
    });

    test('a start that stores only repeats, or nothing, begins no epoch', async () => {
      await subject.put({ idempotencyKey: 'k' });
      await subject.mark(1);
      const cursor = subject.log.cursor(2);
      await subject.reopen();
      await subject.put({ idempotencyKey: 'k' });
      await subject.mark(1);
      await subject.put({ idempotencyKey: 'k', content: '1' }).catch(() => undefined);
      expect(subject.log.cursor(2)).toBe(cursor);
      await subject.put({});
      expect(subject.log.locate(cursor, ['bob'])).toMatchObject({ after: 2, gap: false });
      expect(subject.log.locate(subject.log.cursor(3), ['bob'])).toMatchObject({ after: 3, gap: false });
    });

    localTest(
      'a cursor that is ahead of the log, or whose epoch is not that of its id, is of a log that was restored since',
      async () => {
        await subject.put({});
        await subject.reopen();
        await subject.put({});
        const ofOtherEpoch = subject.log.cursor(2).replace(/^2/, '1');
        for (const cursor of ['99', '1-zzzzzz9', ofOtherEpoch]) {
          // The replay is from the beginning.
          const start = { after: 0, gap: 'restored', purgedThrough: 0 };
          expect([cursor, subject.log.locate(cursor, ['bob'])]).toEqual([cursor, start]);
        }
      },
    );

    localTest(
      'a cursor of messages that a restored backup lacks is a gap, before and after other messages have their ids',
      async () => {
        await subject.put({});
        const backup = await subject.save();
        await subject.open({ from: backup });
        await subject.put({});
        const [kept, lost] = [subject.log.cursor(1), subject.log.cursor(2)];
        await subject.save();
        await subject.open({ from: backup });
        expect(subject.log.locate(lost, ['bob'])).toMatchObject({ after: 0, gap: 'restored' });
        await subject.put({}, {});
        expect(subject.log.locate(lost, ['bob'])).toMatchObject({ after: 0, gap: 'restored' });
        expect(subject.log.locate(kept, ['bob'])).toMatchObject({ after: 1, gap: false });
      },
    );

    test('a text of another form is not a cursor', async () => {
      await subject.put({});
      for (const text of ['', 'x', '-1', '1-', '-k3f9', '1.5', '1-K', '9'.repeat(17), ' 1', '1-k3f9-2'])
        expect([text, subject.log.locate(text, ['bob'])]).toEqual([
          text,
          { after: 0, gap: 'unknown', purgedThrough: 0 },
        ]);
    });
  });

  describe('newest', () => {
    test('the newest messages of several inboxes are each counted once', async () => {
      await subject.put({}, { recipient: 'carol' }, { sender: 'dan', recipient: 'eve' }, {});
      const before = (inboxes: string[], count: number): number => subject.log.newest(inboxes, count).after;
      expect(before(['bob'], 1)).toBe(3);
      expect(before(['bob'], 2)).toBe(0);
      expect(before(['alice', 'bob'], 2)).toBe(1);
      expect(before(['dan'], 1)).toBe(2);
      expect(before(['*'], 3)).toBe(1);
    });

    test('the newest messages begin at the head if none are wanted or there are none, and with the first if there are fewer', async () => {
      expect(subject.log.newest(['bob'], 5)).toEqual({ after: 0, gap: false, purgedThrough: 0 });
      await subject.put({ recipient: 'carol' }, {}, {});
      expect(subject.log.newest(['bob'], 0)).toEqual({ after: 3, gap: false, purgedThrough: 0 });
      expect(subject.log.newest(['nobody'], 5).after).toBe(3);
      expect(subject.log.newest(['bob'], 5).after).toBe(1);
    });
  });

  describe('message', () => {
    test('a message is found by its id', async () => {
      await subject.put({ content: '1' }, { content: '2' });
      expect(subject.log.message(2)).toMatchObject({ id: 2, content: '2' });
      for (const id of [0, 3, -1, Number.MAX_SAFE_INTEGER]) expect(subject.log.message(id)).toBeUndefined();
    });
  });

  describe('readAfter', () => {
    const fill = (): Promise<number[]> =>
      subject.put(
        { sender: 'alice', recipient: 'bob' },
        { sender: 'bob', recipient: 'carol' },
        { sender: 'carol', recipient: 'dan' },
        { sender: 'bob', recipient: 'bob' },
        { sender: 'alice', recipient: 'carol' },
        { sender: 'dan', recipient: 'bob', type: 'read', content: '{"messageId":1}' },
        { sender: 'eve', recipient: 'bob', background: 1 },
      );

    test('an inbox has what its address received and sent, and several have each message once', async () => {
      await fill();
      expect(subject.ids(['bob'])).toEqual([1, 2, 4, 6, 7]);
      expect(subject.ids(['dan'])).toEqual([3, 6]);
      expect(subject.ids(['alice', 'bob', 'carol'])).toEqual([1, 2, 3, 4, 5, 6, 7]);
      expect(subject.ids(['dan', 'eve', 'nobody'])).toEqual([3, 6, 7]);
      expect(subject.ids(['*'])).toEqual([1, 2, 3, 4, 5, 6, 7]);
      expect(subject.ids(['nobody'])).toEqual([]);
      expect(subject.ids(['bob'], 4)).toEqual([6, 7]);
      expect(subject.ids(['bob'], 7)).toEqual([]);
      expect(subject.ids(['bob'], 1000)).toEqual([]);
    });

    test('pages of any length lose nothing between them', async () => {
      await fill();
      for (const limit of [1, 2, 3, 7])
        for (const inboxes of [['bob'], ['alice', 'dan'], ['*']])
          expect(subject.ids(inboxes, 0, limit)).toEqual(subject.ids(inboxes));
    });

    test('a page tells which id it was read through, and whether it is the last', async () => {
      await fill();
      const { ids, visit } = taking();
      expect(subject.log.readAfter(['bob'], 1, 2, visit)).toEqual({
        through: 4,
        more: true,
        full: false,
        purgedThrough: 0,
      });
      expect(ids).toEqual([2, 4]);
      expect(subject.log.readAfter(['bob'], 4, 5, visit)).toMatchObject({
        through: 7,
        more: false,
        full: false,
      });
    });

    test('a page ends before a message that has no room', async () => {
      await fill();
      const page = subject.log.readAfter(['bob'], 0, 100, taking(2).visit);
      expect(page).toMatchObject({ through: 2, more: true, full: true });
      expect(subject.log.readAfter(['bob'], 2, 100, taking(0).visit)).toMatchObject({
        through: 2,
        more: true,
        full: true,
      });
    });

    test('a hundred inboxes are read together', async () => {
      const names = Array.from({ length: 100 }, (_, index) => `reader ${index}`);
      await subject.put(...names.map((recipient) => ({ recipient })), {});
      expect(subject.ids(names, 0, 7)).toEqual(names.map((_, index) => index + 1));
    });
  });

  describe('readBack', () => {
    const fill = (): Promise<number[]> =>
      subject.put(
        {},
        { recipient: 'carol' },
        { sender: 'bob', recipient: 'alice' },
        {},
        { recipient: 'eve' },
      );

    test('reading back begins with the newest message, and a page ends before a message that has no room', async () => {
      await fill();
      const first = taking(2);
      const page = subject.log.readBack(['bob'], Infinity, first.visit);
      expect([first.ids, page]).toEqual([[4, 3], { more: true, before: 3 }]);
      const last = taking();
      expect(subject.log.readBack(['bob'], 3, last.visit)).toMatchObject({ more: false });
      expect(last.ids).toEqual([1]);
      const all = taking();
      subject.log.readBack(['*'], 4, all.visit);
      expect(all.ids).toEqual([3, 2, 1]);
    });

    test('reading back may end before the first message', async () => {
      await fill();
      expect(subject.log.readBack(['bob'], 3, taking(0).visit)).toEqual({ more: true, before: 3 });
    });

    test('several inboxes are read back in one order, and a message that is in two of them comes once', async () => {
      await fill();
      for (const [inboxes, all] of [
        [
          ['bob', 'alice'],
          [5, 4, 3, 2, 1],
        ],
        [
          ['bob', 'carol'],
          [4, 3, 2, 1],
        ],
        [
          ['carol', 'eve', 'nobody'],
          [5, 2],
        ],
      ] as const) {
        for (const room of [1, 2, 5]) {
          const ids: number[] = [];
          for (let before = Infinity, more = true; more;) {
            const { ids: some, visit } = taking(room);
            ({ before, more } = subject.log.readBack(inboxes, before, visit));
            ids.push(...some);
          }
          expect(ids).toEqual(all);
        }
      }
    });

    test('a hundred inboxes are read back together', async () => {
      const names = Array.from({ length: 100 }, (_, index) => `reader ${index}`);
      await subject.put(...names.map((recipient) => ({ recipient })), {});
      const { ids, visit } = taking();
      expect(subject.log.readBack(names, Infinity, visit)).toMatchObject({ more: false });
      expect(ids).toEqual(names.map((_, index) => 100 - index));
    });
  });

  test('the messages between two addresses are read in both directions, the newest first, in pages', async () => {
    await subject.put(
      {},
      { recipient: 'carol' },
      { sender: 'bob', recipient: 'alice', background: 1 },
      { sender: 'bob', recipient: 'bob' },
    );
    await subject.settle();
    await subject.put({ sender: 'bob', recipient: 'alice', type: 'read', content: '{"messageId":1}' }, {});
    const read = (pair: [string, string], before: number, room: number): unknown => {
      const { ids, visit } = taking(room);
      const { more, before: next } = subject.log.readConversation(pair, before, visit);
      return more ? [ids, next] : ids;
    };
    for (let round = 0; round < 2; round++) {
      expect(read(['alice', 'bob'], Infinity, 2)).toEqual([[6, 5], 5]);
      expect(read(['bob', 'alice'], Infinity, 3)).toEqual([[6, 5, 3], 3]);
      expect(read(['bob', 'alice'], 5, 10)).toEqual([3, 1]);
      expect(read(['bob', 'alice'], 3, 0)).toEqual([[], 3]);
      expect(read(['bob', 'bob'], Infinity, 10)).toEqual([4]);
      expect(read(['bob', 'nobody'], Infinity, 10)).toEqual([]);
      await subject.settle();
    }
  });

  localTest(
    'messages that retention removed are a gap of their inboxes alone, and their ids are not given again',
    async () => {
      const saved = await subject.save();
      await subject.open({ retention: { days: 0, messages: 2 }, from: saved });
      await subject.put(...Array.from({ length: 5 }, () => ({})), { recipient: 'carol', sender: 'dan' });
      const cursor = subject.log.cursor(2);
      await until(async () => {
        await subject.settle();
        return subject.log.counts.purged === 3;
      });
      expect(subject.ids(['*'])).toEqual([4, 5, 6]);
      expect(subject.log.message(3)).toBeUndefined();
      for (const inbox of ['bob', 'alice', '*']) {
        expect(subject.log.locate(cursor, [inbox])).toEqual({ after: 2, gap: 'purged', purgedThrough: 3 });
        expect(subject.log.locate(subject.log.cursor(3), [inbox])).toMatchObject({ after: 3, gap: false });
      }
      expect(subject.log.locate(cursor, ['carol'])).toEqual({ after: 2, gap: false, purgedThrough: 0 });
      expect(subject.log.locate('x', ['carol', 'bob'])).toEqual({
        after: 0,
        gap: 'unknown',
        purgedThrough: 3,
      });
      expect(subject.log.readAfter(['bob'], 0, 1, () => true)).toMatchObject({
        through: 4,
        purgedThrough: 3,
      });
      expect(subject.log.newest(['bob'], 1)).toEqual({ after: 4, gap: false, purgedThrough: 3 });
      await subject.reopen();
      expect(subject.log.locate(cursor, ['bob'])).toMatchObject({ gap: 'purged' });
      expect(await subject.put({})).toEqual([7]);
    },
  );
}
