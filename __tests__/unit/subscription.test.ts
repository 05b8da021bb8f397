import { beforeEach, describe, expect, test } from '@jest/globals';
import { Hub } from '../../src/hub/hub.ts';
import type { Task, FairScheduler } from '../../src/fair-scheduler.ts';
import { Subscription } from '../../src/hub/subscription.ts';
import type { ForwardPage } from '../../src/log/inboxes.ts';
import type { MessageLog, Start } from '../../src/log/message-log.ts';
import type { Draft, Message } from '../../src/message.ts';
import { sseFraming } from '../../src/sse/frame.ts';
import { draft, ephemeral, message, TIME } from '../support/log-file.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { Random } from '../support/random.ts';

/** A connection with as much room as the test says. */
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

/** A log whose commits reach the hub when the test says so: a hand-over can go wrong in between. It counts its reads. */
class HeldLog implements Pick<MessageLog, 'head' | 'cursor' | 'readAfter'> {
  readonly memory = new MemoryLog({ now: () => TIME });
  reads = 0;
  rowsRead = 0;
  readonly #undispatched: Promise<unknown>[] = [];

  /** The hub gets each commit, and the next one does not wait for it. */
  constructor(hub: Hub) {
    this.memory.log.onCommit((messages) => void hub.dispatch(messages));
  }

  get head(): number {
    return this.memory.log.head;
  }

  /** Stores a batch. It is in the database, unless another one is held back already, and nobody sees it. */
  commit(drafts: readonly Draft[]): void {
    this.memory.hold();
    this.#undispatched.push(this.memory.log.append(drafts));
  }

  /** Hands on the commits that were held back. */
  async dispatch(): Promise<void> {
    this.memory.release();
    await Promise.all(this.#undispatched.splice(0));
  }

  cursor(id: number): string {
    return String(id);
  }

  readAfter(...[inboxes, after, limit, visit]: Parameters<MessageLog['readAfter']>): ForwardPage {
    this.reads++;
    return this.memory.log.readAfter(inboxes, after, limit, (message) => {
      this.rowsRead++;
      return visit(message);
    });
  }
}

/** A scheduler that works when the test says so. The real one has a budget of time, so the length of its turns varies. */
class FakeScheduler implements Pick<FairScheduler, keyof FairScheduler> {
  readonly #waiting = new Set<Task>();
  readonly #jobs: Iterator<unknown>[] = [];
  /** Whether jobs wait for `step`. If not, each is done at once. */
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
  /** Does steps of the jobs, one job after the other, until none is left or `most` are done. */
  step(most = Infinity): void {
    for (let taken = 0; taken < most && this.#jobs.length > 0; taken++) {
      if (this.#jobs[0]?.next().done === true) this.#jobs.shift();
    }
  }
  /** Runs tasks, oldest first, until none waits or `most` have run. */
  runTasks(most = Infinity): void {
    let given = 0;
    for (const task of this.#waiting) {
      if (given++ === most) break;
      this.#waiting.delete(task);
      task.turn();
    }
  }
}

describe('a subscription', () => {
  let log: HeldLog;
  let hub: Hub;
  let scheduler: FakeScheduler;
  const events: string[] = [];
  beforeEach(() => {
    scheduler = new FakeScheduler();
    hub = new Hub(String, scheduler);
    log = new HeldLog(hub);
    events.length = 0;
  });

  const follow = (
    inboxes: string[],
    connection: FakeConnection,
    start: Partial<Start> = {},
  ): Subscription => {
    const subscription = new Subscription(
      { log: log as unknown as MessageLog, hub, scheduler: scheduler as unknown as FairScheduler },
      { inboxes, connection, framing: sseFraming },
      { after: 0, purgedThrough: 0, ...start },
    );
    subscription.start({
      onLive: (replayed) => events.push(`live after ${replayed}`),
      onOvertaken: () => events.push('overtaken'),
      onFailed: (error) => events.push(String(error)),
    });
    return subscription;
  };

  const expectedIds = (inboxes: readonly string[], after = 0): number[] => {
    const ids: number[] = [];
    log.memory.log.readAfter(inboxes, after, 1_000_000, ({ id }) => ids.push(id) > 0);
    return ids;
  };

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'a subscription writes every message of its inboxes once and in order, however replays, stalls, commits and dispatches interleave (seed %i)',
    async (seed) => {
      const random = new Random(seed);
      scheduler.slow = true;
      const names = ['alice', 'bob', 'carol'];
      const subscribers = [['alice'], ['bob'], ['alice', 'bob'], ['alice', 'bob', 'carol'], ['*']].map(
        (inboxes) => {
          const connection = new FakeConnection();
          return { inboxes, connection, subscription: follow(inboxes, connection) };
        },
      );
      const comeBack = (subscriber: (typeof subscribers)[number]): void => {
        const { inboxes, connection, subscription } = subscriber;
        subscription.close();
        subscriber.subscription = follow(inboxes, connection, { after: subscription.cursor });
      };
      for (let step = 0; step < 200; step++) {
        const content = JSON.stringify('x'.repeat(random.integer(0, 39999)));
        const batch = Array.from({ length: random.integer(0, 5) }, () =>
          draft({ sender: random.pick(names), recipient: random.pick(names), content }),
        );
        log.commit(batch);
        if (random.integer(0, 2) > 0) await log.dispatch();
        const { connection, subscription } = random.pick(subscribers);
        connection.stuck = random.integer(0, 1) === 0;
        if (!connection.stuck || random.integer(0, 1) === 0) {
          connection.room = 256 * 1024;
          subscription.drained();
        }
        if (random.integer(0, 3) === 0) scheduler.runTasks(random.integer(1, 8));
        if (random.integer(0, 1) === 0) scheduler.step(random.integer(1, 12));
        if (random.integer(0, 9) === 0) comeBack(random.pick(subscribers));
        for (const { connection: one } of subscribers) expect(one.room).toBeGreaterThanOrEqual(0);
      }
      await log.dispatch();
      scheduler.step();
      for (const { inboxes, connection, subscription } of subscribers) {
        connection.stuck = false;
        connection.room = 256 * 1024;
        subscription.drained();
        scheduler.runTasks();
        expect(connection.ids).toEqual(expectedIds(inboxes));
      }
    },
  );

  test('a commit costs each subscription of an inbox one write, of the same bytes', async () => {
    const connections = Array.from({ length: 10 }, () => new FakeConnection());
    for (const connection of connections) follow(['bob'], connection);
    scheduler.runTasks();
    log.commit(Array.from({ length: 50 }, () => draft()));
    await log.dispatch();
    for (const connection of connections) {
      expect(connection.writes).toHaveLength(1);
      expect(connection.writes[0]).toBe(connections[0]?.writes[0]);
    }
  });

  test('a commit costs subscriptions of several inboxes one write of the same bytes, in any order of the inboxes', async () => {
    const connections = Array.from({ length: 10 }, () => new FakeConnection());
    for (const [index, connection] of connections.entries())
      follow(index % 2 === 0 ? ['bob', 'carol', 'dan'] : ['dan', 'carol', 'bob'], connection);
    scheduler.runTasks();
    log.commit([draft({ recipient: 'bob' }), draft({ recipient: 'dan' }), draft({ recipient: 'bob' })]);
    await log.dispatch();
    for (const connection of connections) {
      expect(connection.ids).toEqual([1, 2, 3]);
      expect(connection.writes).toHaveLength(1);
      expect(connection.writes[0]).toBe(connections[0]?.writes[0]);
    }
  });

  test('a subscription that ends or begins while a commit is dispatched neither loses nor repeats any of it', async () => {
    const [first, ended, waiting, begun] = [1, 2, 3, 4].map(() => new FakeConnection()) as [
      FakeConnection,
      FakeConnection,
      FakeConnection,
      FakeConnection,
    ];
    const [, ending] = [first, ended, waiting].map((connection) => follow(['bob', 'carol'], connection));
    scheduler.runTasks();
    scheduler.slow = true;
    log.commit([draft(), draft()]);
    await log.dispatch();
    log.commit([draft()]);
    await log.dispatch();
    scheduler.step(1);
    expect([first.ids, ended.ids, waiting.ids]).toEqual([[1, 2], [], []]);
    expect(ending?.cursor).toBe(0);
    ending?.close();
    follow(['bob'], begun);
    scheduler.runTasks();
    expect(begun.ids).toEqual([1, 2, 3]);
    scheduler.step();
    expect([first.ids, ended.ids, waiting.ids, begun.ids]).toEqual([[1, 2, 3], [], [1, 2, 3], [1, 2, 3]]);
    follow(['bob'], ended, { after: ending?.cursor ?? 0 });
    scheduler.runTasks();
    expect(ended.ids).toEqual([1, 2, 3]);
  });

  test('a replay reads only the messages that were missed', async () => {
    log.commit(Array.from({ length: 5000 }, () => draft({ recipient: 'somebody', sender: 'else' })));
    log.commit(Array.from({ length: 3 }, () => draft()));
    log.commit(Array.from({ length: 5000 }, () => draft({ recipient: 'somebody', sender: 'else' })));
    await log.dispatch();
    follow(['bob'], new FakeConnection(), { after: 5001 });
    scheduler.runTasks();
    expect(log).toMatchObject({ reads: 1, rowsRead: 2 });
    expect(events).toEqual(['live after 2']);
  });

  test('a subscription without room writes nothing, and continues from the log when its connection has drained', async () => {
    const connection = new FakeConnection();
    const subscription = follow(['bob'], connection);
    scheduler.runTasks();
    connection.room = 0;
    for (let round = 0; round < 3; round++) {
      log.commit([draft()]);
      await log.dispatch();
    }
    expect(connection.writes).toHaveLength(0);
    connection.room = 256 * 1024;
    subscription.drained();
    scheduler.runTasks();
    expect(connection.ids).toEqual([1, 2, 3]);
    expect(events).toEqual(['live after 0']);
  });

  test.each([
    ['one inbox', ['bob']],
    ['two inboxes that both have it', ['alice', 'bob']],
  ])('a subscription writes no message at or below its cursor, through %s', async (_through, inboxes) => {
    const connection = new FakeConnection();
    const subscription = follow(inboxes, connection);
    scheduler.runTasks();
    log.commit([draft(), draft(), draft()]);
    await log.dispatch();
    const commit = (first: number): Message[] => [0, 1, 2].map((step) => message(first + step));
    void hub.dispatch(commit(1));
    expect(connection.ids).toEqual([1, 2, 3]);
    void hub.dispatch(commit(2));
    expect(connection.ids).toEqual([1, 2, 3, 4]);
    expect(subscription.cursor).toBe(4);
  });

  test('a subscription writes a message that is not stored only if it is live and has room', async () => {
    const connection = new FakeConnection();
    const subscription = follow(['bob'], connection);
    expect(await hub.dispatchEphemeral(ephemeral())).toBe(0);
    scheduler.runTasks();
    expect(await hub.dispatchEphemeral(ephemeral())).toBe(1);
    connection.room = 10;
    expect(await hub.dispatchEphemeral(ephemeral())).toBe(0);
    connection.room = 256 * 1024;
    subscription.close();
    expect(await hub.dispatchEphemeral(ephemeral())).toBe(0);
    expect(connection.writes).toHaveLength(1);
  });

  test('a subscription writes a message that is not stored once, even if it is in several of its inboxes', async () => {
    const connection = new FakeConnection();
    follow(['bob', 'alice'], connection);
    scheduler.runTasks();
    expect(await hub.dispatchEphemeral(ephemeral({ sender: 'alice', recipient: 'bob' }))).toBe(1);
    expect(connection.writes).toHaveLength(1);
  });

  test('a subscription that retention overtook is closed; one whose client was told of the gap is not', async () => {
    const connection = new FakeConnection();
    connection.room = 0;
    const overtaken = follow(['bob'], connection);
    log.commit(Array.from({ length: 10 }, () => draft()));
    await log.dispatch();
    const bound = { now: TIME, recipient: 'bob', after: 0, through: 5, limit: 100 };
    await log.memory.purge({ by: 'count', ...bound });
    connection.room = 256 * 1024;
    overtaken.drained();
    scheduler.runTasks();
    expect(events).toEqual(['overtaken']);
    expect(connection.writes).toHaveLength(0);

    const told = new FakeConnection();
    follow(['bob'], told, { gap: 'purged', purgedThrough: 5 });
    scheduler.runTasks();
    expect(told.ids).toEqual([6, 7, 8, 9, 10]);
  });
});
