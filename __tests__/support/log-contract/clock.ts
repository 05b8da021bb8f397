import { describe, expect, test } from '@jest/globals';
import { draft } from '../log-file.ts';
import { type Subject, taking } from './subject.ts';

const DAY = 86_400_000;

/** Declares the tests of time. */
export function describeClock(subject: Subject): void {
  const createdAt = async (): Promise<number> => {
    const [stored] = await subject.log.append([draft()]);
    return stored?.message.createdAt ?? 0;
  };

  describe('the clock', () => {
    test('messages have the time of the clock', async () => {
      const { now } = subject;
      expect(await createdAt()).toBe(now);
      subject.now += 1234;
      expect(await createdAt()).toBe(now + 1234);
    });

    test('times never decrease as ids grow, though the clock jumps a day ahead and back, also over a restart', async () => {
      const { now } = subject;
      const times: number[] = [];
      for (const jump of [0, DAY, 0, -DAY, 1000]) {
        subject.now = now + jump;
        times.push(await createdAt());
      }
      await subject.reopen();
      subject.now = now;
      times.push(await createdAt());
      subject.now = now + DAY + 1;
      times.push(await createdAt());
      expect(times).toEqual([0, DAY, DAY, DAY, DAY, DAY, DAY + 1].map((jump) => now + jump));
    });

    test('a clock that jumps two days ahead and back removes nothing for good, and messages of that time expire', async () => {
      const saved = await subject.save();
      await subject.open({ retention: { days: 1, messages: 0 }, from: saved });
      await subject.put({}, { ttl: 3600 });
      subject.now += 2 * DAY;
      await subject.put({}, { ttl: 60 });
      await subject.settle();
      expect(subject.ids(['*'])).toEqual([1, 3, 4]);
      subject.now += 61_000;
      expect(subject.ids(['*'])).toEqual([1, 3]);
      await subject.settle();
      subject.now -= 2 * DAY + 61_000;
      // From now on the newest entry is of the right time.
      await subject.put({}, { ttl: 60 });
      expect(subject.ids(['*'])).toEqual(expect.arrayContaining([1, 2, 3, 5, 6]));
      expect(subject.log.locate(subject.log.cursor(0), ['bob']).gap).toBe(false);
      subject.now += 61_000;
      expect(subject.ids(['*'])).not.toContain(6);
    });

    test('messages that have expired by the time of the newest entry are not shown, though the clock is behind it', async () => {
      await subject.put({ ttl: 10 });
      subject.now += 11_000;
      await subject.put({});
      subject.now -= 11_000;
      expect(subject.ids(['*'])).toEqual([2]);
      expect(subject.log.message(1)).toBeUndefined();
    });

    test('a publish that stores nothing does not move the time of the log', async () => {
      await subject.put({ ttl: 10 }, { idempotencyKey: 'k' });
      subject.now += 11_000;
      expect(await subject.put({ idempotencyKey: 'k' })).toEqual([2]);
      subject.now -= 11_000;
      expect(subject.ids(['*'])).toEqual([1, 2]);
    });
  });

  describe('messages with a ttl', () => {
    test('a message is shown until it expires, and by no read after that', async () => {
      const [stored] = await subject.log.append([draft({ ttl: 10 })]);
      expect(stored?.message.expiresAt).toBe(subject.now + 10_000);
      subject.pass(9_999);
      expect(subject.log.message(1)).toBeDefined();
      expect(subject.ids(['bob'])).toEqual([1]);
      subject.pass(1);
      expect(subject.log.message(1)).toBeUndefined();
      expect(subject.ids(['bob'])).toEqual([]);
      const { ids, visit } = taking();
      subject.log.readBack(['bob'], Infinity, visit);
      subject.log.readBack(['bob', 'alice'], Infinity, visit);
      subject.log.readConversation(['alice', 'bob'], Infinity, visit);
      expect(ids).toEqual([]);
      expect(subject.log.newest(['bob'], 1).after).toBe(1);
      expect(subject.log.conversations('bob', Infinity, 10, () => true).conversations).toEqual([]);
      expect(subject.log.conversation('bob', 'alice').state).toMatchObject({ lastMessage: null, unread: 0 });
    });

    test('an expired message is no gap', async () => {
      await subject.put({ ttl: 1 }, {});
      subject.pass(2000);
      await subject.settle();
      expect(subject.log.locate('0', ['bob'])).toEqual({ after: 0, gap: false, purgedThrough: 0 });
      expect(subject.ids(['bob'])).toEqual([2]);
    });

    test('an expired message counts towards the limit of a page, and is skipped', async () => {
      await subject.put({}, { ttl: 1 }, { ttl: 1 }, {});
      subject.pass(2000);
      const { ids, visit } = taking();
      expect(subject.log.readAfter(['bob'], 0, 2, visit)).toMatchObject({ through: 2, more: true });
      expect(ids).toEqual([1]);
      expect(subject.ids(['bob'], 0, 1)).toEqual([1, 4]);
      expect(subject.log.newest(['bob'], 2).after).toBe(0);
    });

    test('a conversation whose last message has expired shows the one before', async () => {
      await subject.put({ sender: 'carol' }, {}, { sender: 'carol', ttl: 10 });
      const listed = (): unknown[] =>
        subject.log
          .conversations('bob', Infinity, 10, () => true)
          .conversations.map(({ peer, lastMessage, unread }) => [peer, lastMessage?.id, unread]);
      expect(listed()).toEqual([
        ['carol', 3, 2],
        ['alice', 2, 1],
      ]);
      subject.pass(11_000);
      expect(listed()).toEqual([
        ['alice', 2, 1],
        ['carol', 1, 1],
      ]);
      expect(subject.log.room('x', 'bob').state).toMatchObject({ unread: 2, lastMessage: { id: 2 } });
    });

    test('an idempotency key holds until its message expires, whether that is still on the disk or not', async () => {
      await subject.put({ idempotencyKey: 'k', ttl: 10 });
      subject.pass(9_999);
      expect(await subject.put({ idempotencyKey: 'k', ttl: 10 })).toEqual([1]);
      subject.pass(1);
      expect(await subject.put({ idempotencyKey: 'k', ttl: 10, content: '"other"' })).toEqual([2]);
      expect(await subject.put({ idempotencyKey: 'k', ttl: 10, content: '"other"' })).toEqual([2]);
      subject.pass(11_000);
      await subject.settle();
      expect(await subject.put({ idempotencyKey: 'k' })).toEqual([3]);
    });
  });
}
