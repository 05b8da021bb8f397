import { describe, expect, test } from '@jest/globals';
import type { Conversation } from '../../../src/log/conversation.ts';
import type { Subject } from './subject.ts';

/** Declares the tests of conversations and rooms. */
export function describeConversations(subject: Subject): void {
  const list = (address: string, before = Infinity, limit = 50): Conversation[] =>
    subject.log.conversations(address, before, limit, () => true).conversations;
  const told = (conversations: readonly Conversation[]): unknown[] =>
    conversations.map(({ peer, lastMessage, unread }) => [peer, lastMessage?.id, unread]);

  /** Looks at once, when some of it is not projected yet, and again when conversations are up to date. */
  const look = async (check: () => void): Promise<void> => {
    check();
    await subject.settle();
    check();
  };

  describe('conversations', () => {
    test('conversations are listed by their last message, with their unread messages', async () => {
      await subject.put({}, { sender: 'carol' }, {});
      await subject.settle();
      await subject.put({ sender: 'bob', recipient: 'dan' }, { sender: 'bob', recipient: 'alice' });
      await look(() => {
        expect(told(list('bob'))).toEqual([
          ['alice', 5, 2],
          ['dan', 4, 0],
          ['carol', 2, 1],
        ]);
        expect(told(list('alice'))).toEqual([['bob', 5, 1]]);
        expect(list('nobody')).toEqual([]);
      });
    });

    test('messages of any type make a conversation, but for read markers and those in the background', async () => {
      await subject.put(
        { type: 'order' },
        { background: 1 },
        { sender: 'carol', background: 1 },
        { sender: 'dan', type: 'read', content: '{"messageId":1}' },
      );
      await look(() => expect(told(list('bob'))).toEqual([['alice', 1, 1]]));
    });

    test('a conversation shows how far each side has read', async () => {
      await subject.put({}, {}, { sender: 'bob', recipient: 'alice' }, {});
      await subject.settle();
      await subject.mark(2);
      await subject.mark(3, { sender: 'alice', recipient: 'bob' });
      await look(() => {
        const { state, head } = subject.log.conversation('bob', 'alice');
        expect(state).toMatchObject({ peer: 'alice', unread: 1, readThrough: 2, peerReadThrough: 3 });
        expect(state.lastMessage).toEqual(subject.log.message(4));
        expect(head).toBe(6);
        expect(list('bob')).toEqual([state]);
        expect(subject.log.conversation('alice', 'bob').state).toMatchObject({
          unread: 0,
          readThrough: 3,
          peerReadThrough: 2,
        });
      });
    });

    test('conversations come in pages', async () => {
      await subject.put(...['carol', 'dan', 'eve', 'frank'].map((sender) => ({ sender })));
      await look(() => {
        const first = subject.log.conversations('bob', Infinity, 3, () => true);
        expect(told(first.conversations)).toEqual([
          ['frank', 4, 1],
          ['eve', 3, 1],
          ['dan', 2, 1],
        ]);
        expect(first).toMatchObject({ more: true, head: 4 });
        const next = subject.log.conversations('bob', first.before as number, 3, () => true);
        expect(told(next.conversations)).toEqual([['carol', 1, 1]]);
        expect(next).toMatchObject({ more: false, before: undefined });
      });
    });

    test('conversations are listed as far as there is room, and the first one in any case', async () => {
      await subject.put({ sender: 'carol' }, { sender: 'dan' }, { sender: 'eve' });
      await look(() => {
        const none = subject.log.conversations('bob', Infinity, 50, () => false);
        expect(told(none.conversations)).toEqual([['eve', 3, 1]]);
        expect(none.more).toBe(true);
        const page = subject.log.conversations('bob', Infinity, 50, ({ peer }) => peer !== 'carol');
        expect(told(page.conversations)).toEqual([
          ['eve', 3, 1],
          ['dan', 2, 1],
        ]);
        expect(told(list('bob', page.before))).toEqual([['carol', 1, 1]]);
      });
    });

    test('unread messages are counted to 1000 and no further', async () => {
      await subject.put(...Array.from({ length: 999 }, () => ({})));
      await subject.settle();
      expect(subject.log.conversation('bob', 'alice').state.unread).toBe(999);
      await subject.put({}, {}, {});
      expect(subject.log.conversation('bob', 'alice').state.unread).toBe(1000);
      await subject.mark(1000);
      expect(subject.log.conversation('bob', 'alice').state.unread).toBe(2);
    });

    test('a room has its newest message, and the unread messages of others are counted', async () => {
      await subject.put(
        { recipient: 'room' },
        { sender: 'bob', recipient: 'room' },
        { sender: 'carol', recipient: 'room' },
        { sender: 'carol', recipient: 'room', background: 1 },
      );
      await look(() =>
        expect(subject.log.room('bob', 'room')).toEqual({
          state: { room: 'room', lastMessage: subject.log.message(3), unread: 2, readThrough: null },
          head: 4,
        }),
      );
      await subject.mark(1, { recipient: 'room' });
      expect(subject.log.room('bob', 'room').state).toMatchObject({ unread: 1, readThrough: 1 });
      expect(subject.log.room('carol', 'room').state).toMatchObject({ unread: 2, readThrough: null });
    });
  });

  test('a conversation or room without a message has a state', () => {
    expect(subject.log.conversation('bob', 'alice')).toEqual({
      state: { peer: 'alice', lastMessage: null, unread: 0, readThrough: null, peerReadThrough: null },
      head: 0,
    });
    expect(subject.log.room('bob', 'room')).toEqual({
      state: { room: 'room', lastMessage: null, unread: 0, readThrough: null },
      head: 0,
    });
  });
}
