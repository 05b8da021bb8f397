import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Hub } from '../../src/hub/hub.ts';
import type { Task, Turns } from '../../src/hub/turns.ts';
import { Subscription } from '../../src/hub/subscription.ts';
import type { MessageLog, Start } from '../../src/log/message-log.ts';
import { prepareAppend } from '../../src/log/append.ts';
import { preparePurge } from '../../src/log/purge.ts';
import { Store } from '../../src/log/store.ts';
import type { Draft, Message } from '../../src/message.ts';
import { sseFraming } from '../../src/sse/frame.ts';
import { draft, newDatabase } from '../support/log-file.ts';
import { Random } from '../support/random.ts';
import { cleanUp } from '../support/server.ts';

/** A connection that takes what a test lets it. */
class FakeConnection {
  room = 256 * 1024;
  /** Whether what is written stays in the buffer until `drain`. */
  stuck = false;
  readonly writes: Uint8Array[] = [];
  write(bytes: Uint8Array): void {
    this.writes.push(bytes);
    if (this.stuck) this.room -= bytes.length;
  }
  /** The ids of the messages written, in order. */
  get ids(): number[] {
    return [
      ...Buffer.concat(this.writes)
        .toString()
        .matchAll(/^id: (\d+)$/gm),
    ].map(([, id]) => Number(id));
  }
}

/** A log whose commits reach the hub when the test says so: between the two lies what a hand-over can get wrong. */
class FakeLog {
  readonly database = newDatabase();
  readonly #append = prepareAppend(this.database);
  readonly store = new Store(this.database);
  readonly #undispatched: Message[] = [];
  head = 0;
  reads = 0;
  rowsRead = 0;

  commit(drafts: readonly Draft[]): void {
    const [ids] = this.#append({ tag: 'run', batches: [drafts] }) as number[][];
    this.#undispatched.push(...drafts.map((one, index) => ({ ...one, id: ids?.[index] ?? 0 })));
  }

  dispatch(hub: Hub): void {
    const messages = this.#undispatched.splice(0);
    this.head = messages.at(-1)?.id ?? this.head;
    if (messages.length > 0) void hub.dispatch(messages);
  }

  cursor(id: number): string {
    return String(id);
  }

  readAfter(
    ...[inboxes, after, limit, take]: Parameters<MessageLog['readAfter']>
  ): ReturnType<MessageLog['readAfter']> {
    this.reads++;
    const counted = (message: Message): boolean => {
      this.rowsRead++;
      return take(message);
    };
    const end = this.store.readAfter(inboxes, after, this.head, limit, 0, counted);
    return { ...end, purgedThrough: this.store.purgedThrough(inboxes) };
  }
}

/** Turns that are taken when the test says so. The real ones go by a budget of time, so how many fall in one is chance. */
class FakeTurns implements Pick<Turns, keyof Turns> {
  readonly #waiting = new Set<Task>();
  readonly #jobs: Iterator<unknown>[] = [];
  /** Whether jobs wait for `step`; else each is done at once. */
  slow = false;
  add(task: Task): void {
    this.#waiting.add(task);
  }
  remove(task: Task): void {
    this.#waiting.delete(task);
  }
  run(job: Iterable<unknown>): Promise<void> {
    this.#jobs.push(job[Symbol.iterator]());
    if (!this.slow) this.step();
    return Promise.resolve();
  }
  every(): () => void {
    return () => undefined;
  }
  /** Takes steps of the jobs, one job after the other, until none is left or `most` were taken. */
  step(most = Infinity): void {
    for (let taken = 0; taken < most && this.#jobs.length > 0; taken++) {
      if (this.#jobs[0]?.next().done === true) this.#jobs.shift();
    }
  }
  /** Gives turns, the oldest first, until nothing waits or `most` were given. */
  take(most = Infinity): void {
    let given = 0;
    for (const task of this.#waiting) {
      if (given++ === most) break;
      this.#waiting.delete(task);
      task.turn();
    }
  }
}

describe('a subscription', () => {
  let log: FakeLog;
  let hub: Hub;
  let turns: FakeTurns;
  const events: string[] = [];
  beforeEach(() => {
    log = new FakeLog();
    turns = new FakeTurns();
    hub = new Hub(String, turns);
    events.length = 0;
  });
  afterAll(cleanUp);

  const follow = (
    inboxes: string[],
    connection: FakeConnection,
    start: Partial<Start> = {},
  ): Subscription => {
    const subscription = new Subscription(
      { log: log as unknown as MessageLog, hub, turns: turns as unknown as Turns },
      {
        inboxes,
        connection,
        framing: sseFraming,
        onLive: (replayed) => events.push(`live after ${replayed}`),
        onOvertaken: () => events.push('overtaken'),
        onFailed: (error) => events.push(String(error)),
      },
      { after: 0, gap: false, purgedThrough: 0, ...start },
    );
    subscription.start();
    return subscription;
  };

  const expectedIds = (inboxes: readonly string[], after = 0): number[] => {
    const ids: number[] = [];
    log.store.readAfter(inboxes, after, log.head, 1_000_000, 0, ({ id }) => ids.push(id) > 0);
    return ids;
  };

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'writes every message of its inboxes once and in order, however replay, stalls, commits and fan-out fall (seed %i)',
    (seed) => {
      const random = new Random(seed);
      turns.slow = true;
      const names = ['alice', 'bob', 'carol'];
      const followers = [['alice'], ['bob'], ['alice', 'bob'], ['alice', 'bob', 'carol'], ['*']].map(
        (inboxes) => {
          const connection = new FakeConnection();
          return { inboxes, connection, subscription: follow(inboxes, connection) };
        },
      );
      const comeBack = (follower: (typeof followers)[number]): void => {
        const { inboxes, connection, subscription } = follower;
        subscription.close();
        follower.subscription = follow(inboxes, connection, { after: subscription.cursor });
      };
      for (let step = 0; step < 200; step++) {
        const content = JSON.stringify('x'.repeat(random.integer(0, 39999)));
        const batch = Array.from({ length: random.integer(0, 5) }, () =>
          draft({ sender: random.pick(names), recipient: random.pick(names), content }),
        );
        log.commit(batch);
        if (random.integer(0, 2) > 0) log.dispatch(hub);
        const { connection, subscription } = random.pick(followers);
        connection.stuck = random.integer(0, 1) === 0;
        if (!connection.stuck || random.integer(0, 1) === 0) {
          connection.room = 256 * 1024;
          subscription.drained();
        }
        if (random.integer(0, 3) === 0) turns.take(random.integer(1, 8));
        if (random.integer(0, 1) === 0) turns.step(random.integer(1, 12));
        if (random.integer(0, 9) === 0) comeBack(random.pick(followers));
        for (const { connection: one } of followers) expect(one.room).toBeGreaterThanOrEqual(0);
      }
      log.dispatch(hub);
      turns.step();
      for (const { inboxes, connection, subscription } of followers) {
        connection.stuck = false;
        connection.room = 256 * 1024;
        subscription.drained();
        turns.take();
        expect(connection.ids).toEqual(expectedIds(inboxes));
      }
    },
  );

  test('costs one write for a commit, of the same bytes for all followers of an inbox', () => {
    const connections = Array.from({ length: 10 }, () => new FakeConnection());
    for (const connection of connections) follow(['bob'], connection);
    turns.take();
    log.commit(Array.from({ length: 50 }, () => draft()));
    log.dispatch(hub);
    for (const connection of connections) {
      expect(connection.writes).toHaveLength(1);
      expect(connection.writes[0]).toBe(connections[0]?.writes[0]);
    }
  });

  test('costs one write of the same bytes also for followers of several inboxes, in whichever order they name them', () => {
    const connections = Array.from({ length: 10 }, () => new FakeConnection());
    for (const [index, connection] of connections.entries())
      follow(index % 2 === 0 ? ['bob', 'carol', 'dan'] : ['dan', 'carol', 'bob'], connection);
    turns.take();
    log.commit([draft({ recipient: 'bob' }), draft({ recipient: 'dan' }), draft({ recipient: 'bob' })]);
    log.dispatch(hub);
    for (const connection of connections) {
      expect(connection.ids).toEqual([1, 2, 3]);
      expect(connection.writes).toHaveLength(1);
      expect(connection.writes[0]).toBe(connections[0]?.writes[0]);
    }
  });

  test('is given a commit in its turn: one that ends or begins meanwhile neither loses nor repeats any of it', () => {
    const [first, ended, waiting, begun] = [1, 2, 3, 4].map(() => new FakeConnection()) as [
      FakeConnection,
      FakeConnection,
      FakeConnection,
      FakeConnection,
    ];
    const [, ending] = [first, ended, waiting].map((connection) => follow(['bob', 'carol'], connection));
    turns.take();
    turns.slow = true;
    log.commit([draft(), draft()]);
    log.dispatch(hub);
    log.commit([draft()]);
    log.dispatch(hub);
    turns.step(1);
    expect([first.ids, ended.ids, waiting.ids]).toEqual([[1, 2], [], []]);
    expect(ending?.cursor).toBe(0);
    ending?.close();
    follow(['bob'], begun);
    turns.take();
    expect(begun.ids).toEqual([1, 2, 3]);
    turns.step();
    expect([first.ids, ended.ids, waiting.ids, begun.ids]).toEqual([[1, 2, 3], [], [1, 2, 3], [1, 2, 3]]);
    follow(['bob'], ended, { after: ending?.cursor ?? 0 });
    turns.take();
    expect(ended.ids).toEqual([1, 2, 3]);
  });

  test('reads what was missed, not the log', () => {
    log.commit(Array.from({ length: 5000 }, () => draft({ recipient: 'somebody', sender: 'else' })));
    log.commit(Array.from({ length: 3 }, () => draft()));
    log.commit(Array.from({ length: 5000 }, () => draft({ recipient: 'somebody', sender: 'else' })));
    log.dispatch(hub);
    follow(['bob'], new FakeConnection(), { after: 5001 });
    turns.take();
    expect(log).toMatchObject({ reads: 1, rowsRead: 2 });
    expect(events).toEqual(['live after 2']);
  });

  test('without room takes nothing, and goes on from the log when it has drained', () => {
    const connection = new FakeConnection();
    const subscription = follow(['bob'], connection);
    turns.take();
    connection.room = 0;
    for (let round = 0; round < 3; round++) {
      log.commit([draft()]);
      log.dispatch(hub);
    }
    expect(connection.writes).toHaveLength(0);
    connection.room = 256 * 1024;
    subscription.drained();
    turns.take();
    expect(connection.ids).toEqual([1, 2, 3]);
    expect(events).toEqual(['live after 0']);
  });

  test.each([
    ['one inbox', ['bob']],
    ['two inboxes that both hold it', ['alice', 'bob']],
  ])('writes nothing of a commit at or below its cursor, through %s', (_through, inboxes) => {
    const connection = new FakeConnection();
    const subscription = follow(inboxes, connection);
    turns.take();
    log.commit([draft(), draft(), draft()]);
    log.dispatch(hub);
    const commit = (first: number): Message[] => [0, 1, 2].map((step) => ({ ...draft(), id: first + step }));
    void hub.dispatch(commit(1));
    expect(connection.ids).toEqual([1, 2, 3]);
    void hub.dispatch(commit(2));
    expect(connection.ids).toEqual([1, 2, 3, 4]);
    expect(subscription.cursor).toBe(4);
  });

  test('takes an ephemeral frame when it is live and has room, and only then', async () => {
    const connection = new FakeConnection();
    const subscription = follow(['bob'], connection);
    expect(await hub.dispatchEphemeral(draft())).toBe(0);
    turns.take();
    expect(await hub.dispatchEphemeral(draft())).toBe(1);
    connection.room = 10;
    expect(await hub.dispatchEphemeral(draft())).toBe(0);
    connection.room = 256 * 1024;
    subscription.close();
    expect(await hub.dispatchEphemeral(draft())).toBe(0);
    expect(connection.writes).toHaveLength(1);
  });

  test('takes an ephemeral frame once, through however many of its inboxes it comes', async () => {
    const connection = new FakeConnection();
    follow(['bob', 'alice'], connection);
    turns.take();
    expect(await hub.dispatchEphemeral(draft({ sender: 'alice', recipient: 'bob' }))).toBe(1);
    expect(connection.writes).toHaveLength(1);
  });

  test('that a purge overtook is ended; one that was told of the gap is not', () => {
    const connection = new FakeConnection();
    connection.room = 0;
    const overtaken = follow(['bob'], connection);
    log.commit(Array.from({ length: 10 }, () => draft()));
    log.dispatch(hub);
    preparePurge(log.database)({
      kind: 'surplus',
      now: 0,
      recipient: 'bob',
      after: 0,
      through: 5,
      limit: 100,
    });
    connection.room = 256 * 1024;
    overtaken.drained();
    turns.take();
    expect(events).toEqual(['overtaken']);
    expect(connection.writes).toHaveLength(0);

    const told = new FakeConnection();
    follow(['bob'], told, { gap: 'purged', purgedThrough: 5 });
    turns.take();
    expect(told.ids).toEqual([6, 7, 8, 9, 10]);
  });
});
