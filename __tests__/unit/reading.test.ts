import { afterEach, describe, expect, test } from '@jest/globals';
import { Budget } from '../../src/log/replica/budget.ts';
import { Conversations } from '../../src/log/replica/conversations.ts';
import { LogUnavailable } from '../../src/log/message-log.ts';
import { PushTable } from '../../src/log/replica/push-table.ts';
import { reading } from '../../src/log/replica/reading.ts';
import { Store } from '../../src/log/replica/store.ts';
import { newDatabase } from '../support/log-file.ts';
import { cleanUp } from '../support/server.ts';

afterEach(cleanUp);

/** The methods of a class that its objects have. */
function methodsOf({ prototype }: { prototype: object }): string[] {
  return Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor');
}

const take = (): boolean => true;

const BOUNDS = { budget: new Budget(() => 0, 1), fits: () => true };

/** Arguments for each method that reads; a new one needs a line here. */
const ARGUMENTS: Record<string, readonly unknown[]> = {
  head: [],
  position: [],
  epochs: [],
  retention: [],
  snapshot: [(): number => 1],
  message: [1, 0],
  purgedThrough: [['bob']],
  readAfter: [['bob'], 0, 9, 10, 0, take],
  readBack: [['bob'], 9, 0, take, new Budget(() => 0, 1)],
  recipients: [],
  all: [0, 10],
  subscription: [1],
  ofRecipient: ['bob', 0, 10],
  ofReader: ['bob', 'room', 0, 10],
  has: ['bob', 'https://push.example.org/1'],
  inboxesOf: ['https://push.example.org/1', 10],
  isOwn: ['https://push.example.org/1', 'bob'],
  received: ['bob', 0, 9, 10],
  readThrough: ['bob', 'alice'],
  notified: [1, 'alice'],
  covered: [1, 'bob', 10],
  peerOfNotice: [1, 1],
  unread: ['https://push.example.org/1'],
  list: ['bob', Infinity, 9, 10, 0, BOUNDS],
};

describe('a database that is closed', () => {
  test('every read of a closed database fails as a log that cannot be read now, and none as a fault of the service', () => {
    const database = newDatabase();
    const store = new Store(database);
    const conversations = new Conversations(database, store);
    const table = new PushTable({
      database,
      conversations,
      now: () => 0,
      head: () => 9,
      apply: () => Promise.resolve([]),
    });
    database.close();
    const readers: [object, string[]][] = [
      [store, methodsOf(Store)],
      [table, methodsOf(PushTable).filter((name) => name !== 'apply')],
      [conversations, ['list']],
    ];
    for (const [reader, names] of readers) {
      for (const name of names) {
        const values = ARGUMENTS[name];
        if (values === undefined) throw new Error(`no arguments for ${name}`);
        const method = (reader as Record<string, (...all: readonly unknown[]) => unknown>)[name];
        // A generator reads when it is asked.
        const read = (): unknown => {
          const result = method?.apply(reader, [...values]);
          return name === 'unread' ? (result as Iterator<unknown>).next() : result;
        };
        expect(read).toThrow(LogUnavailable);
      }
    }
    expect(() => conversations.unread('bob', 9, 0)).toThrow(LogUnavailable);
    expect(() => conversations.readBack(['bob', 'ann'], 9, 9, 0, take, BOUNDS.budget)).toThrow(
      LogUnavailable,
    );
  });
});

test('a fault of the service is not reported as a log that cannot be read', () => {
  const database = newDatabase();
  expect(() => reading(() => database.exec('SELECT 1 FROM nowhere'))).toThrow('no such table');
  expect(() => reading(() => database.exec('SELECT 1 FROM nowhere'))).not.toThrow(LogUnavailable);
  database.close();
});
