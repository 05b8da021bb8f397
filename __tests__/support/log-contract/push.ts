import { describe, expect, test } from '@jest/globals';
import type { PushBounds, PushOutcome, PushChange } from '../../../src/log/push-store.ts';
import type { Subject } from './subject.ts';

const BOUNDS: PushBounds = { devices: 2, recipients: 3, perClient: 4 };

/** A subscription of a device for an inbox. */
function subscribe(endpoint: string, recipient = 'bob', fields: object = {}): PushChange {
  return {
    kind: 'subscribe',
    subscription: {
      client: null,
      recipient,
      reader: recipient,
      endpoint,
      p256dh: 'key',
      auth: 'secret',
      expirationTime: null,
      ...fields,
    },
    bounds: BOUNDS,
  };
}

/** Declares the tests of the subscriptions to notifications. */
export function describePushStore(subject: Subject): void {
  const apply = (...changes: PushChange[]): Promise<readonly PushOutcome[]> =>
    subject.log.pushStore.apply(changes);

  describe('pushStore', () => {
    test('a push subscription begins at the head, and is remembered over a restart', async () => {
      await subject.put({}, {});
      const [change] = await apply(subscribe('one'));
      expect(change).toMatchObject({ isNew: true, refused: undefined, removed: [] });
      expect(change?.stored).toMatchObject({ id: 1, recipient: 'bob', since: 2, through: 2 });
      await subject.reopen();
      const store = subject.log.pushStore;
      expect(store.subscription(1)).toEqual(change?.stored);
      expect(store.ofRecipient('bob', 0, 10)).toEqual([change?.stored]);
      expect([...store.recipients()]).toEqual([{ recipient: 'bob', count: 1 }]);
      expect(store.all(0, 10)).toEqual([{ id: 1, recipient: 'bob', endpoint: 'one' }]);
    });

    test('a push subscription that is made again gets the new keys and keeps its position', async () => {
      await apply(subscribe('one'));
      await subject.put({});
      const [change] = await apply(subscribe('one', 'bob', { auth: 'new', reader: 'carol' }));
      expect(change).toMatchObject({
        isNew: false,
        stored: { id: 1, auth: 'new', reader: 'carol', since: 0 },
      });
    });

    test('changes of push subscriptions are made in order, and each call is answered with its own', async () => {
      const [first, second, third] = await Promise.all([
        apply(subscribe('one'), subscribe('two')),
        apply({ kind: 'remove', id: 1 }),
        apply(subscribe('one')),
      ]);
      expect(first.map(({ stored }) => stored?.id)).toEqual([1, 2]);
      expect(second).toMatchObject([{ removed: [{ id: 1 }] }]);
      // An id is not used a second time.
      expect(third).toMatchObject([{ stored: { id: 3 }, isNew: true }]);
      expect(await apply({ kind: 'remove', id: 3 }, subscribe('four'))).toMatchObject([
        {},
        { stored: { id: 4 } },
      ]);
    });

    test('push subscriptions have bounds for each reader, device and client', async () => {
      await apply(subscribe('one'), subscribe('two'));
      expect(await apply(subscribe('three'))).toMatchObject([
        { isNew: true, removed: [{ endpoint: 'one' }] },
      ]);
      const refused = await apply(...['a', 'b', 'c', 'd'].map((name) => subscribe('device', name)));
      expect(refused.map((change) => change.refused)).toEqual([
        undefined,
        undefined,
        undefined,
        'recipients',
      ]);
      const perClient = await apply(
        ...[1, 2, 3, 4, 5].map((n) => subscribe(`own ${n}`, `inbox ${n}`, { client: 'eve' })),
      );
      expect(perClient.map((change) => change.refused)).toEqual([...Array<undefined>(4), 'perClient']);
    });

    test('the inboxes and addresses of a device are known until it is gone', async () => {
      await apply(subscribe('one'), subscribe('one', 'room', { reader: 'carol' }), subscribe('two'));
      const store = subject.log.pushStore;
      expect(store.inboxesOf('one', 10).sort()).toEqual(['bob', 'room']);
      expect(store.has('room', 'one')).toBe(true);
      expect(store.has('room', 'two')).toBe(false);
      expect(['bob', 'room', 'carol', 'dan'].map((name) => store.isOwn('one', name))).toEqual([
        true,
        true,
        true,
        false,
      ]);
      expect(store.ofReader('carol', 'room', 0, 10)).toMatchObject([{ endpoint: 'one' }]);
      await apply({ kind: 'unsubscribe', endpoint: 'one', recipient: undefined, limit: 10 });
      expect(store.inboxesOf('one', 10)).toEqual([]);
      expect(store.all(0, 10)).toMatchObject([{ endpoint: 'two' }]);
    });

    test('received messages and read markers are read for notifications up to the head', async () => {
      await subject.put({}, { recipient: 'carol' }, { background: 1 });
      await subject.mark(1);
      const { pushStore: store, head } = subject.log;
      expect(store.received('bob', 0, head, 10)).toMatchObject([
        { id: 1, sender: 'alice', counts: 1 },
        { id: 3, counts: 0 },
      ]);
      expect(store.received('bob', 1, head, 10)).toHaveLength(1);
      expect(store.received('bob', 0, 2, 10)).toHaveLength(1);
      expect(store.readThrough('bob', 'alice')).toBe(1);
      expect(store.readThrough('alice', 'bob')).toBe(0);
    });

    test('open notifications are remembered until they are closed', async () => {
      await subject.put({}, {}, {});
      await apply(subscribe('one'));
      const notice = (kind: 'notified' | 'closed', messageId: number): PushChange => ({
        kind,
        id: 1,
        peer: 'alice',
        messageId,
      });
      await apply(notice('notified', 2), { kind: 'through', id: 1, through: 3 });
      const store = subject.log.pushStore;
      expect(store.notified(1, 'alice')).toBe(2);
      expect(store.peerOfNotice(1, 2)).toBe('alice');
      expect(store.subscription(1)?.through).toBe(3);
      expect(store.covered(1, 'bob', 10)).toEqual([]);
      await subject.mark(2);
      expect(store.covered(1, 'bob', 10)).toEqual([2]);
      await apply(notice('closed', 1));
      expect(store.notified(1, 'alice')).toBe(2);
      await apply(notice('closed', 2));
      expect(store.notified(1, 'alice')).toBe(0);
    });

    test('unread messages of a device are counted over its inboxes', async () => {
      await apply(subscribe('one'), subscribe('one', 'room', { reader: 'bob' }));
      await subject.put({}, { recipient: 'room' }, { recipient: 'room' }, { background: 1 });
      const count = (): number => {
        const counting = subject.log.pushStore.unread('one');
        for (;;) {
          const { done, value } = counting.next();
          if (done === true) return value;
        }
      };
      expect(count()).toBe(3);
      await subject.settle();
      expect(count()).toBe(3);
      await subject.mark(3, { recipient: 'room' });
      expect(count()).toBe(1);
    });
  });
}
