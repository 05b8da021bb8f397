/** History is read back in pages, of which each costs what it has: not what the inboxes have, nor what has expired in them. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Database } from 'better-sqlite3';
import type { BackPage, MessageVisitor } from '../../src/log/inboxes.ts';
import { Budget } from '../../src/log/replica/budget.ts';
import { Conversations } from '../../src/log/replica/conversations.ts';
import { prepareProjection } from '../../src/log/replica/projection.ts';
import { preparePurge } from '../../src/log/replica/purge.ts';
import { Store } from '../../src/log/replica/store.ts';
import { draft, newDatabase, prepareAppends, TIME } from '../support/log-file.ts';
import { withRandom } from '../support/random.ts';
import { cleanUp } from '../support/server.ts';

/** When messages stored at `TIME` for a second have expired. */
const LATER = TIME + 1000;

/** The most inboxes of one request. */
const HUNDRED = Array.from({ length: 100 }, (_, index) => `inbox ${index}`);

const unbounded = (): Budget => new Budget(() => 0, Infinity);
const all: MessageVisitor = () => true;

/** An execution of a statement that is iterated over. */
interface Execution {
  readonly sql: string;
  readonly values: Record<string, unknown>;
  /** How many rows were taken from it. */
  rows: number;
}

/** Notes the executions of statements that are prepared from now on. */
function watch(database: Database): Execution[] {
  const executions: Execution[] = [];
  const prepare = database.prepare.bind(database);
  const watched = (sql: string): unknown => {
    const statement = prepare<[Record<string, unknown>]>(sql);
    const iterate = statement.iterate.bind(statement);
    statement.iterate = (values) => {
      const execution: Execution = { sql, values, rows: 0 };
      executions.push(execution);
      return counted(iterate(values), execution);
    };
    return statement;
  };
  database.prepare = watched as typeof prepare;
  return executions;
}

function* counted(rows: Iterable<unknown>, execution: Execution): Generator {
  for (const row of rows) {
    execution.rows++;
    yield row;
  }
}

/** Stores messages by hand, which is fast: the `index`th with what `fields` returns for it. */
function store(
  database: Database,
  count: number,
  fields: (index: number) => { sender?: string; recipient?: string; expiresAt?: number },
): void {
  const insert = database.prepare(
    "INSERT INTO messages (sender, recipient, type, content, createdAt, expiresAt) VALUES (?, ?, 'message', '1', ?, ?)",
  );
  database.transaction(() => {
    for (let index = 0; index < count; index++) {
      const { sender = 'a sender', recipient = 'a recipient', expiresAt = null } = fields(index);
      insert.run(sender, recipient, TIME, expiresAt);
    }
    database.exec('UPDATE position SET head = (SELECT max(id) FROM messages)');
  })();
}

/** Reads page after page to the end. @returns the ids, and the number of pages */
function walk(
  read: (before: number, visit: MessageVisitor) => BackPage,
  room: () => number,
): [number[], number] {
  const ids: number[] = [];
  let pages = 0;
  for (let before = Infinity, more = true; more; pages++) {
    let left = room();
    const page = read(before, ({ id }) => left-- > 0 && ids.push(id) > 0);
    if (page.more && page.before >= before)
      throw new Error(`the page before ${before} leads to ${page.before}`);
    ({ before, more } = page);
  }
  return [ids, pages];
}

let database: Database;
beforeEach(() => {
  database = newDatabase();
});
afterEach(cleanUp);

test('pages of any set of inboxes, followed back, have exactly the messages of the pages forward', async () => {
  await withRandom((random) => {
    const append = prepareAppends(database);
    const purge = preparePurge(database);
    const log = new Store(database);
    const names = Array.from({ length: 9 }, (_, index) => `name ${index}`);
    for (let round = 0; round < 12; round++) {
      append(
        Array.from({ length: 40 }, () => [
          draft({
            sender: random.pick(names),
            recipient: random.pick(names),
            ttl: random.chance(0.3) ? 1 : null,
          }),
        ]),
      );
      if (random.chance(0.3)) {
        const recipient = random.pick(names);
        purge({ by: 'count', now: TIME, recipient, after: 0, through: log.head() - 200, limit: 20 }, TIME);
      }
      const inboxes = random.chance(0.1) ? ['*'] : names.filter(() => random.chance(0.4));
      if (inboxes.length === 0) inboxes.push('nobody');
      const now = random.pick([TIME, LATER]);
      const forward: number[] = [];
      log.readAfter(inboxes, 0, log.head(), 10_000, now, ({ id }) => forward.push(id) > 0);
      const room = random.pick([1, 2, 7, 1000]);
      const rows = random.pick([0, 1, 3, 5000]);
      const [back] = walk(
        (before, visit) =>
          log.readBack(inboxes, Math.min(before - 1, log.head()), now, visit, new Budget(() => 0, 0, rows)),
        () => room,
      );
      expect(back.reverse()).toEqual(forward);
    }
    return Promise.resolve();
  });
});

describe('a page', () => {
  test('a page of inboxes with only expired messages ends when its time is up, and the next pages go on', () => {
    store(database, 1, () => ({ recipient: 'inbox 7' }));
    store(database, 3000, (index) => ({ recipient: `inbox ${index % 100}`, expiresAt: LATER }));
    const log = new Store(database);
    let time = 0;
    const [ids, pages] = walk(
      (before, visit) => {
        const began = time;
        const budget = new Budget(() => ++time, 100);
        const page = log.readBack(HUNDRED, Math.min(before - 1, log.head()), LATER, visit, budget);
        expect(time - began).toBeLessThanOrEqual(102);
        return page;
      },
      () => 1000,
    );
    expect(ids).toEqual([1]);
    expect(pages).toBeGreaterThan(10);
  });

  test('a page is one execution of one statement, however many messages have expired and however few are wanted', () => {
    store(database, 2, () => ({ recipient: 'inbox 7', sender: 'inbox 8' }));
    store(database, 3000, (index) => ({ recipient: `inbox ${index % 100}`, expiresAt: LATER }));
    const executions = watch(database);
    const log = new Store(database);
    let left = 1;
    expect(log.readBack(HUNDRED, log.head(), LATER, () => left-- > 0, unbounded())).toEqual({
      more: true,
      before: 2,
    });
    expect(executions).toHaveLength(1);
  });

  test('a page between two addresses is one execution of each of its two statements', () => {
    store(database, 3000, () => ({ recipient: 'bob', sender: 'alice', expiresAt: LATER }));
    const project = prepareProjection(database);
    project(1000);
    const executions = watch(database);
    const log = new Store(database);
    const conversations = new Conversations(database, log);
    expect(
      conversations.readBack(['alice', 'bob'], Infinity, log.head(), LATER, () => false, unbounded()),
    ).toEqual({ more: false, before: 1 });
    expect(executions).toHaveLength(2);
  });

  test.each([1, 2, 3, 65, 100])('a page of %d inboxes merges indexes and sorts nothing', (count) => {
    const executions = watch(database);
    const log = new Store(database);
    const inboxes = HUNDRED.slice(0, count);
    log.readBack(inboxes, 9, TIME, all, unbounded());
    log.readAfter(inboxes, 0, 9, 1001, TIME, all);
    expect(executions).toHaveLength(2);
    for (const { sql, values } of executions) {
      const plan = (database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(values) as { detail: string }[]).map(
        ({ detail }) => detail,
      );
      expect(plan).toEqual(expect.arrayContaining(['CO-ROUTINE page', 'MERGE (UNION)']));
      expect(plan.filter((detail) => /TEMP B-TREE|MATERIALIZE|SCAN messages/.test(detail))).toEqual([]);
    }
  });

  test.each([3, 65, 100])('a page of %d inboxes looks into each of them once', (count) => {
    const executions = watch(database);
    new Store(database).readBack(HUNDRED.slice(0, count), 9, TIME, all, unbounded());
    const addresses = Object.entries(executions[0]?.values ?? {}).filter(
      ([name, value]) => /^a\d+$/.test(name) && value !== null,
    );
    expect(addresses.map(([, value]) => value)).toEqual(HUNDRED.slice(0, count));
  });

  test('a page of 1000 messages reads at most one more, however many messages a hundred inboxes have', () => {
    store(database, 20_000, (index) => ({ recipient: `inbox ${index % 100}`, sender: `inbox ${index % 7}` }));
    const executions = watch(database);
    const log = new Store(database);
    let left = 1000;
    log.readBack(HUNDRED, log.head(), TIME, () => left-- > 0, unbounded());
    log.readAfter(HUNDRED, 0, log.head(), 1001, TIME, all);
    expect(executions.map(({ rows }) => rows)).toEqual([1001, 1001]);
  });
});
