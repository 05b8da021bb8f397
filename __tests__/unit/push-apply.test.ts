import { afterAll, expect, test } from '@jest/globals';
import type { Database } from 'better-sqlite3';
import { prepareAppend } from '../../src/log/append.ts';
import { preparePush } from '../../src/log/push-apply.ts';
import { draft, newDatabase } from '../support/log-file.ts';
import { cleanUp } from '../support/server.ts';

afterAll(cleanUp);

const subscription = (endpoint: string, recipient = 'bob', reader = recipient) => ({
  kind: 'subscribe' as const,
  most: 2,
  subscription: { recipient, reader, endpoint, p256dh: 'p', auth: 'a', expirationTime: null, createdAt: 5 },
});

function idsOf(database: Database): number[] {
  return database.prepare<[], number>('SELECT id FROM pushSubscriptions ORDER BY id').pluck().all();
}

function noticesOf(database: Database): unknown[] {
  return database.prepare('SELECT subscription, peer, messageId FROM pushNotices').raw().all();
}

test('a subscription begins at the head, and keeps its place when it comes again', () => {
  const database = newDatabase();
  const [append, apply] = [prepareAppend(database), preparePush(database)];
  append({ tag: 'tag', batches: [[draft(), draft()]] });
  expect(apply([subscription('e1')])).toMatchObject([
    { stored: { id: 1, recipient: 'bob', endpoint: 'e1', since: 2, through: 2 }, isNew: true, removed: [] },
  ]);
  append({ tag: 'tag', batches: [[draft()]] });
  expect(apply([subscription('e1', 'bob', 'carol')])).toMatchObject([
    { stored: { id: 1, reader: 'carol', since: 2, through: 2 }, isNew: false, removed: [] },
  ]);
});

test('past the most of one reader the oldest goes; an id is never used again', () => {
  const database = newDatabase();
  const apply = preparePush(database);
  const changes = apply(['e1', 'e2', 'e3'].map((endpoint) => subscription(endpoint)));
  expect(changes.map(({ removed }) => removed)).toEqual([[], [], [1]]);
  apply([subscription('e4', 'room', 'carol'), subscription('e5', 'room', 'dave')]);
  expect(idsOf(database)).toEqual([2, 3, 4, 5]);
  const gone = { kind: 'unsubscribe', endpoint: 'e5', recipient: undefined } as const;
  expect(apply([gone])).toMatchObject([{ removed: [5] }]);
  expect(apply([gone])).toMatchObject([{ removed: [] }]);
  expect(apply([subscription('e5')])).toMatchObject([{ stored: { id: 6 } }]);
});

test('one that is known stays, also where its new reader has the most already', () => {
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

test('the place of a subscription never moves back', () => {
  const database = newDatabase();
  const apply = preparePush(database);
  apply([subscription('e1')]);
  const through = (): unknown => database.prepare('SELECT through FROM pushSubscriptions').pluck().get();
  apply([{ kind: 'through', id: 1, through: 7 }]);
  apply([{ kind: 'through', id: 1, through: 5 }, { kind: 'through', id: 99, through: 9 }]); // prettier-ignore
  expect(through()).toBe(7);
});

test('an open notification shows the newest message, is closed by what covers it, and goes with its device', () => {
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
  expect(noticesOf(database)).toEqual([[1, 'alice', 4], [2, 'alice', 3]]); // prettier-ignore
  // A newer message was shown while the older one was closed.
  apply([notice('closed', 1, 'alice', 3), notice('closed', 2, 'carol', 3)]);
  expect(noticesOf(database)).toHaveLength(2);
  apply([notice('closed', 1, 'alice', 4)]);
  expect(noticesOf(database)).toEqual([[2, 'alice', 3]]);
  apply([{ kind: 'unsubscribe', endpoint: 'e2', recipient: undefined }, notice('notified', 2, 'alice', 5)]);
  expect(noticesOf(database)).toEqual([]);
});
