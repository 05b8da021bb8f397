import { afterAll, expect, test } from '@jest/globals';
import type { Database } from 'better-sqlite3';
import type { PushOutcome, PushChange } from '../../src/log/push-store.ts';
import { draft, newDatabase, prepareAppends, prepareEntries } from '../support/log-file.ts';
import { cleanUp } from '../support/server.ts';

afterAll(cleanUp);

const subscription = (
  endpoint: string,
  recipient = 'bob',
  reader = recipient,
  client: string | null = null,
) => ({
  kind: 'subscribe' as const,
  bounds: { devices: 2, recipients: 3, perClient: 2 },
  subscription: {
    client,
    recipient,
    reader,
    endpoint,
    p256dh: 'p',
    auth: 'a',
    expirationTime: null,
  },
});

const unsubscription = (endpoint: string, recipient?: string, limit = 100) => ({
  kind: 'unsubscribe' as const,
  endpoint,
  recipient,
  limit,
});

/** Prepares applying changes as an entry. */
function preparePush(database: Database): (changes: readonly PushChange[]) => readonly PushOutcome[] {
  const apply = prepareEntries(database);
  return (changes) => {
    const outcome = apply({ kind: 'push', changes }, 5);
    return outcome.kind === 'push' ? outcome.outcomes : [];
  };
}

function idsOf(database: Database): number[] {
  return database.prepare<[], number>('SELECT id FROM pushSubscriptions ORDER BY id').pluck().all();
}

function noticesOf(database: Database): unknown[] {
  return database.prepare('SELECT subscription, peer, messageId FROM pushNotices').raw().all();
}

test('a subscription begins at the head, and keeps its position when its device subscribes again', () => {
  const database = newDatabase();
  const [append, apply] = [prepareAppends(database), preparePush(database)];
  append([[draft(), draft()]]);
  expect(apply([subscription('e1')])).toMatchObject([
    {
      stored: { id: 1, recipient: 'bob', endpoint: 'e1', since: 2, through: 2, createdAt: 5 },
      isNew: true,
      removed: [],
    },
  ]);
  append([[draft()]]);
  expect(apply([subscription('e1', 'bob', 'carol')])).toMatchObject([
    { stored: { id: 1, reader: 'carol', since: 2, through: 2 }, isNew: false, removed: [] },
  ]);
});

test('the oldest device of a reader is removed if it has too many, and no id is used again', () => {
  const database = newDatabase();
  const apply = preparePush(database);
  const changes = apply(['e1', 'e2', 'e3'].map((endpoint) => subscription(endpoint)));
  expect(changes.map(({ removed }) => removed)).toEqual([
    [],
    [],
    [{ id: 1, recipient: 'bob', endpoint: 'e1' }],
  ]);
  apply([subscription('e4', 'room', 'carol'), subscription('e5', 'room', 'dave')]);
  expect(idsOf(database)).toEqual([2, 3, 4, 5]);
  const gone = unsubscription('e5');
  expect(apply([gone])).toMatchObject([{ removed: [{ id: 5, recipient: 'room', endpoint: 'e5' }] }]);
  expect(apply([gone])).toMatchObject([{ removed: [] }]);
  expect(apply([subscription('e5')])).toMatchObject([{ stored: { id: 6 } }]);
});

test('a subscription that is removed by its id takes its notifications along, and no other of its device', () => {
  const database = newDatabase();
  const apply = preparePush(database);
  apply([subscription('e1', 'r1'), subscription('e1', 'r2')]);
  apply([1, 2].map((id) => ({ kind: 'notified', id, peer: 'alice', messageId: 4 })));
  const remove = { kind: 'remove', id: 1 } as const;
  expect(apply([remove, remove, { kind: 'remove', id: 99 }])).toMatchObject([
    { removed: [{ id: 1, recipient: 'r1', endpoint: 'e1' }] },
    { removed: [] },
    { removed: [] },
  ]);
  expect(idsOf(database)).toEqual([2]);
  expect(noticesOf(database)).toEqual([[2, 'alice', 4]]);
});

test('a known subscription stays, even if its new reader has as many devices as allowed', () => {
  const database = newDatabase();
  const apply = preparePush(database);
  apply(
    ['e1', 'e2', 'e3'].map((endpoint) =>
      subscription(endpoint, 'room', endpoint === 'e1' ? 'carol' : 'dave'),
    ),
  );
  expect(apply([subscription('e1', 'room', 'dave')])).toMatchObject([
    { stored: { id: 1, reader: 'dave' }, removed: [] },
  ]);
});

test('the position of a subscription never moves back', () => {
  const database = newDatabase();
  const apply = preparePush(database);
  apply([subscription('e1')]);
  const through = (): unknown => database.prepare('SELECT through FROM pushSubscriptions').pluck().get();
  const move = (id: number, to: number) => ({ kind: 'through' as const, id, through: to });
  apply([move(1, 7)]);
  apply([move(1, 5), move(99, 9)]);
  expect(through()).toBe(7);
});

test('an open notification shows the newest message, is closed by a read marker that covers it, and ends with its device', () => {
  const database = newDatabase();
  const apply = preparePush(database);
  apply(['e1', 'e2'].map((endpoint) => subscription(endpoint)));
  const notice = (kind: 'notified' | 'closed', id: number, peer: string, messageId: number) => ({
    kind,
    id,
    peer,
    messageId,
  });
  apply([
    notice('notified', 1, 'alice', 4),
    notice('notified', 1, 'alice', 3),
    notice('notified', 2, 'alice', 3),
  ]);
  expect(noticesOf(database)).toEqual([
    [1, 'alice', 4],
    [2, 'alice', 3],
  ]);
  // A newer message was shown while the older one was closed.
  apply([notice('closed', 1, 'alice', 3), notice('closed', 2, 'carol', 3)]);
  expect(noticesOf(database)).toHaveLength(2);
  apply([notice('closed', 1, 'alice', 4)]);
  expect(noticesOf(database)).toEqual([[2, 'alice', 3]]);
  apply([unsubscription('e2'), notice('notified', 2, 'alice', 5)]);
  expect(noticesOf(database)).toEqual([]);
});

test('a device with as many recipients as allowed is refused a new one, and may renew the others', () => {
  const database = newDatabase();
  const apply = preparePush(database);
  apply(['r1', 'r2', 'r3'].map((recipient) => subscription('e1', recipient)));
  const nothing = { stored: undefined, isNew: false, removed: [] };
  expect(apply([subscription('e1', 'r4')])).toEqual([{ ...nothing, refused: 'recipients' }]);
  expect(apply([subscription('e1', 'r3', 'carol'), subscription('e2', 'r4')])).toMatchObject([
    { stored: { id: 3, reader: 'carol' }, isNew: false },
    { stored: { id: 4 }, isNew: true },
  ]);
  apply([unsubscription('e1', 'r1')]);
  expect(apply([subscription('e1', 'r4')])).toMatchObject([{ stored: { id: 5 }, refused: undefined }]);
});

test('a client with as many subscriptions as allowed is refused a new one, and those without a client are not counted', () => {
  const database = newDatabase();
  const apply = preparePush(database);
  apply(['e1', 'e2'].map((endpoint) => subscription(endpoint, endpoint, 'ann', 'ann')));
  expect(apply([subscription('e3', 'e3', 'ann', 'ann')])).toMatchObject([{ refused: 'perClient' }]);
  expect(apply([subscription('e2', 'e2', 'ann', 'ann')])).toMatchObject([{ stored: { id: 2 } }]);
  for (const endpoint of ['e3', 'e4', 'e5']) {
    expect(apply([subscription(endpoint, endpoint)])).toMatchObject([{ refused: undefined, isNew: true }]);
  }
  // One of before, that has no client yet, is of the client that renews it.
  apply([unsubscription('e1'), subscription('e3', 'e3', 'e3', 'ann')]);
  expect(apply([subscription('e6', 'e6', 'ann', 'ann')])).toMatchObject([{ refused: 'perClient' }]);
});

test('a device with many subscriptions is removed in steps', () => {
  const database = newDatabase();
  const apply = preparePush(database);
  apply(['r1', 'r2', 'r3'].map((recipient) => subscription('e1', recipient)));
  const removed = (): number => apply([unsubscription('e1', undefined, 2)])[0]?.removed.length ?? -1;
  expect([removed(), removed(), removed()]).toEqual([2, 1, 0]);
});

test('the newest 1000 open notifications of a subscription are kept, and older ones that are not yet passed', () => {
  const database = newDatabase();
  const apply = preparePush(database);
  apply([subscription('e1'), subscription('e2')]);
  const all = Array.from({ length: 1200 }, (_, index) => index + 1);
  database.transaction(() => {
    for (const id of [1, 2]) {
      apply(all.map((messageId) => ({ kind: 'notified', id, peer: `p${messageId}`, messageId })));
    }
  })();
  const kept = (id: number): unknown =>
    database
      .prepare('SELECT count(*), min(messageId), max(messageId) FROM pushNotices WHERE subscription = ?')
      .raw()
      .get(id);
  apply([{ kind: 'through', id: 1, through: 1200 }]);
  // From 151 on they are looked at again.
  apply([{ kind: 'through', id: 2, through: 150 }]);
  expect(kept(1)).toEqual([1000, 201, 1200]);
  expect(kept(2)).toEqual([1050, 151, 1200]);
});
