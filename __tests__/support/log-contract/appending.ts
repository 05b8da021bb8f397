import { describe, expect, test } from '@jest/globals';
import type { Message } from '../../../src/message.ts';
import { draft } from '../log-file.ts';
import { refusalOf, type Subject } from './subject.ts';

/** Declares the tests of `append` and `onCommit`. */
export function describeAppending(subject: Subject): void {
  describe('append', () => {
    test('ids begin at 1 and grow by one, over all addresses and batches', async () => {
      expect(await subject.put({})).toEqual([1]);
      expect(await subject.put({ recipient: 'carol' }, { sender: 'dan' })).toEqual([2, 3]);
      expect(await subject.put({})).toEqual([4]);
      expect(subject.log.head).toBe(4);
    });

    test('a stored message is its draft with an id and times', async () => {
      const given = draft({ type: 'order', content: '{"n":1}', idempotencyKey: 'k', ttl: 60, background: 1 });
      const [stored] = await subject.log.append([given]);
      const { ttl, ...fields } = given;
      const message = stored?.message as Message;
      expect(stored).toEqual({ message: { ...message, ...fields, id: 1 }, isNew: true });
      expect(message.expiresAt).toBe(message.createdAt + (ttl ?? 0) * 1000);
      expect(subject.log.message(1)).toEqual(message);
    });

    test('contents and names are stored exactly as they are given', async () => {
      const sender = 'é \u{1f4e8}';
      const contents = [
        '"смс \u{1f4e8} ｆｕｌｌ"',
        String.raw`"\u0000\n\"\u2028"`,
        '"\u2028\u2029\u0085"',
        '{ "b": 1, "a": [null, 1e400] }',
        JSON.stringify('x'.repeat(48 * 1024)),
      ];
      await subject.put(...contents.map((content) => ({ content, sender })));
      await subject.reopen();
      for (const [index, content] of contents.entries())
        expect(subject.log.message(index + 1)).toMatchObject({ content, sender });
    });

    test('the messages of a batch have consecutive ids in order, also if many batches come at once', async () => {
      const batches = await Promise.all(
        Array.from({ length: 20 }, (_, index) => subject.put({ content: `${index}` }, {}, {})),
      );
      for (const [first = 0, ...rest] of batches) expect(rest).toEqual([first + 1, first + 2]);
      // They are stored in the order in which they came.
      expect(batches.flat()).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
      expect(subject.log.message(4)?.content).toBe('1');
    });

    test('a long batch of messages of every kind is stored in order', async () => {
      const drafts = Array.from({ length: 1000 }, (_, index) => ({
        content: `${index}`,
        ...(index % 97 === 5 && { idempotencyKey: `${index}` }),
      }));
      expect(await subject.put(...drafts)).toEqual(drafts.map((_, index) => index + 1));
      const contents: string[] = [];
      subject.log.readAfter(['*'], 0, 1000, ({ content }) => contents.push(content) > 0);
      expect(contents).toEqual(drafts.map(({ content }) => content));
    });

    test('a batch with a fault leaves nothing behind and no hole, and those beside it are stored', async () => {
      await subject.put({ idempotencyKey: 'k' });
      const [before, refused, behind] = await Promise.all([
        subject.put({}),
        refusalOf(
          subject.put(
            {},
            { type: 'read', content: '{"messageId":1}' },
            { idempotencyKey: 'k', content: '1' },
          ),
        ),
        subject.put({}),
      ]);
      expect([before, behind]).toEqual([[2], [3]]);
      expect(refused).toEqual({ name: 'BatchRefused', fault: 'key-conflict', index: 2 });
      expect(subject.ids(['*'])).toEqual([1, 2, 3]);
      // The read marker in it was undone, too.
      expect(subject.log.conversation('alice', 'bob').state.readThrough).toBeNull();
    });

    test('acknowledged messages are there after a restart, and ids go on from the last one', async () => {
      await subject.put({}, {});
      await subject.reopen();
      expect(subject.log.head).toBe(2);
      expect(subject.ids(['*'])).toEqual([1, 2]);
      expect(await subject.put({})).toEqual([3]);
    });
  });

  describe('idempotency keys', () => {
    const keyed = { idempotencyKey: 'k', content: '{"a":1,"b":[2]}' };

    test('a repeated idempotency key is answered with its first message, and nothing is stored', async () => {
      const [first] = await subject.log.append([draft(keyed)]);
      await subject.put({});
      const [again] = await subject.log.append([draft(keyed)]);
      expect(again).toEqual({ message: first?.message, isNew: false });
      expect(subject.log.head).toBe(2);
    });

    test('an idempotency key belongs to its sender and recipient', async () => {
      await subject.put(keyed);
      expect(await subject.put({ ...keyed, sender: 'carol' })).toEqual([2]);
      expect(await subject.put({ ...keyed, recipient: 'carol' })).toEqual([3]);
      expect(await subject.put({ ...keyed, recipient: 'carol' })).toEqual([3]);
    });

    test('a repeat of an idempotency key may have another order of fields in its content, another ttl, another background', async () => {
      await subject.put(keyed);
      for (const fields of [{ content: '{"b":[2],"a":1}' }, { ttl: 5 }, { background: 1 as const }])
        expect(await subject.put({ ...keyed, ...fields })).toEqual([1]);
    });

    test('an idempotency key with another content or type is refused', async () => {
      await subject.put(keyed);
      for (const fields of [{ content: '{"a":1,"b":[3]}' }, { content: '{"a":1}' }, { type: 'order' }]) {
        expect(await refusalOf(subject.put({}, { ...keyed, ...fields }))).toEqual({
          name: 'BatchRefused',
          fault: 'key-conflict',
          index: 1,
        });
      }
      expect(subject.log.head).toBe(1);
    });

    test('an idempotency key is known within its own batch', async () => {
      expect(await subject.put(keyed, {}, keyed)).toEqual([1, 2, 1]);
      const other = { idempotencyKey: 'l' };
      const refused = await refusalOf(subject.put(other, { ...other, content: '1' }));
      expect(refused).toMatchObject({ fault: 'key-conflict', index: 1 });
      expect(subject.log.head).toBe(2);
      expect(await subject.put({ ...other, content: '1' })).toEqual([3]);
    });

    test('one message is stored if the same idempotency key comes many times at once', async () => {
      const stored = await Promise.all(Array.from({ length: 10 }, () => subject.log.append([draft(keyed)])));
      expect(stored.flat().map(({ message }) => message.id)).toEqual(Array(10).fill(1));
      expect(stored.flat().filter(({ isNew }) => isNew)).toHaveLength(1);
    });

    test('an idempotency key is remembered over a restart', async () => {
      await subject.put(keyed);
      await subject.reopen();
      expect(await subject.put(keyed)).toEqual([1]);
      expect(await refusalOf(subject.put({ ...keyed, content: '1' }))).toBeDefined();
    });
  });

  describe.each([
    ['before conversations are up to date', () => Promise.resolve()],
    ['when conversations are up to date', () => subject.settle()],
  ])('read markers, %s', (_when, settle) => {
    test('a read marker moves ahead and never back', async () => {
      await subject.put({}, {}, {});
      await settle();
      expect(await subject.mark(2)).toEqual({ id: 4, through: 2, isNew: true });
      expect(await subject.mark(2)).toEqual({ id: 4, through: 2, isNew: false });
      expect(await subject.mark(1)).toEqual({ id: 4, through: 2, isNew: false });
      await settle();
      expect(await subject.mark(3)).toEqual({ id: 5, through: 3, isNew: true });
      expect(subject.log.head).toBe(5);
    });

    test('a read marker ahead of the log is stored at the newest message of its two addresses', async () => {
      await subject.put({}, { sender: 'bob', recipient: 'alice' }, { recipient: 'carol' }, { background: 1 });
      await settle();
      expect(await subject.mark(99)).toEqual({ id: 5, through: 2, isNew: true });
      expect(await subject.mark(99)).toEqual({ id: 5, through: 2, isNew: false });
    });

    test('a read marker ahead of the log is stored at the newest message of a room, if its sender may read that', async () => {
      await subject.put({ recipient: 'room' }, { recipient: 'room', sender: 'carol' }, { recipient: 'dan' });
      await settle();
      const room = { sender: 'bob', recipient: 'room' };
      expect(await subject.mark(99, { ...room, readsRecipient: true })).toMatchObject({ through: 2 });
      expect(await subject.mark(99, { ...room, sender: 'eve' })).toMatchObject({ through: 1 });
    });

    test('a read marker ahead of the log covers nothing if there is no message that counts', async () => {
      await subject.put({ background: 1 }, { sender: 'carol' });
      await settle();
      expect(await subject.mark(99, { readsRecipient: true })).toMatchObject({ id: 3, through: 1 });
    });
  });

  test('a read marker belongs to its reader and peer, and is remembered over a restart', async () => {
    await subject.put({}, {});
    await subject.mark(2);
    expect(await subject.mark(1, { sender: 'carol' })).toMatchObject({ isNew: true });
    expect(await subject.mark(1, { sender: 'alice', recipient: 'bob' })).toMatchObject({ isNew: true });
    await subject.reopen();
    expect(await subject.mark(1)).toEqual({ id: 3, through: 2, isNew: false });
  });

  test('a read marker that was stored with another content is repeated by its key', async () => {
    await subject.put({});
    expect(await subject.mark(99, { idempotencyKey: 'k' })).toEqual({ id: 2, through: 1, isNew: true });
    await subject.put({}, {});
    expect(await subject.mark(99, { idempotencyKey: 'k' })).toEqual({ id: 2, through: 1, isNew: false });
  });

  describe('listeners', () => {
    test('a listener gets each new message once and in id order, before its publisher gets an answer', async () => {
      const told: string[] = [];
      subject.log.onCommit((messages) => {
        told.push(...messages.map(({ id }) => `told ${id}`));
      });
      const put = async (): Promise<void> => {
        const ids = await subject.put({}, {});
        told.push(...ids.map((id) => `answered ${id}`));
      };
      await Promise.all(Array.from({ length: 10 }, put));
      const ids = Array.from({ length: 20 }, (_, index) => index + 1);
      expect(told.filter((one) => one.startsWith('told'))).toEqual(ids.map((id) => `told ${id}`));
      for (const id of ids) {
        expect(told.indexOf(`told ${id}`)).toBeLessThan(told.indexOf(`answered ${id}`));
      }
    });

    test('a listener gets no repeats and nothing of a refused batch, and a read marker as it was stored', async () => {
      await subject.put({ idempotencyKey: 'k' });
      const told: Message[] = [];
      subject.log.onCommit((messages) => void told.push(...messages));
      await subject.put({ idempotencyKey: 'k' });
      await refusalOf(subject.put({}, { idempotencyKey: 'k', content: '1' }));
      await subject.mark(99);
      await subject.mark(1);
      expect(told).toEqual([subject.log.message(2)]);
      expect(told[0]?.content).toBe('{"messageId":1}');
    });

    test('a listener holds the next commit back by a promise, and nobody sees that commit until then', async () => {
      const told: number[] = [];
      const held: (() => void)[] = [];
      subject.log.onCommit((messages) => {
        told.push(...messages.map(({ id }) => id));
        return new Promise((resolve) => held.push(resolve));
      });
      expect(await subject.put({})).toEqual([1]);
      const next = subject.put({});
      // Behind it in the line: the second message is on disk by then.
      await subject.log.probe();
      await subject.log.probe();
      expect(told).toEqual([1]);
      expect(subject.log.head).toBe(1);
      expect(subject.log.message(2)).toBeUndefined();
      expect(subject.ids(['*'])).toEqual([1]);
      expect(subject.log.newest(['*'], 1).after).toBe(0);
      const back: number[] = [];
      subject.log.readBack(['bob'], Infinity, ({ id }) => back.push(id) > 0);
      subject.log.readConversation(['bob', 'alice'], Infinity, ({ id }) => back.push(id) > 0);
      expect(back).toEqual([1, 1]);
      held.shift()?.();
      expect(await next).toEqual([2]);
      expect(told).toEqual([1, 2]);
      held.shift()?.();
    });

    test('several listeners are told in their order, and the next commit waits for all of them', async () => {
      const told: string[] = [];
      let release = (): void => undefined;
      subject.log.onCommit(() => void told.push('first'));
      subject.log.onCommit(() => {
        told.push('second');
        return new Promise((resolve) => (release = resolve));
      });
      await subject.put({});
      expect(told).toEqual(['first', 'second']);
      const next = subject.put({});
      await subject.log.probe();
      expect(told).toHaveLength(2);
      release();
      await next;
      expect(told).toHaveLength(4);
      release();
    });
  });

  test('batches, messages and commits are counted, and each commit that stored something is timed', async () => {
    const timed: number[] = [];
    subject.log.onTimed(({ messages, seconds, syncSeconds, waitSeconds }) => {
      timed.push(messages);
      expect(Math.min(seconds, syncSeconds, waitSeconds)).toBeGreaterThanOrEqual(0);
    });
    await subject.put({ idempotencyKey: 'k' }, {});
    await subject.put({ idempotencyKey: 'k' });
    await refusalOf(subject.put({ idempotencyKey: 'k', content: '1' }));
    await subject.put({});
    expect(subject.log.counts).toEqual({
      stored: 2,
      repeated: 1,
      messages: 3,
      commits: 2,
      failures: 0,
      purged: 0,
    });
    expect(timed).toEqual([2, 1]);
  });
}
