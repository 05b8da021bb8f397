import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { LEASE_MILLISECONDS } from '../../src/cluster/lease-key.ts';
import { Lease } from '../../src/cluster/lease.ts';
import { MemoryLeaseKey, MemoryLeaseServer } from '../support/memory-lease.ts';
import { Random } from '../support/random.ts';
import { until } from '../support/until.ts';

/** A node whose clock is that of the server plus something, and which steps when a test says so. */
class Node {
  readonly events: string[] = [];
  readonly key: MemoryLeaseKey;
  readonly lease: Lease;
  unfit: string | undefined;
  begin: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();
  /** How much of the time has passed for this node while it was suspended. */
  offset = Math.random() * 1e6;

  constructor(server: MemoryLeaseServer, name: string) {
    this.key = new MemoryLeaseKey(server);
    this.lease = new Lease({
      key: this.key,
      id: `${name}-${nodes.length}`,
      node: name,
      unfit: () => this.unfit,
      begin: (signal) => this.begin(signal),
      logger: pino({ level: 'silent' }),
      clock: () => server.now + this.offset,
    });
    this.lease.onHold(() => this.events.push('hold'));
    this.lease.onLose(() => this.events.push('lose'));
    nodes.push(this);
  }

  async step(): Promise<number> {
    const pause = await this.lease.step();
    // Work that begins after the lease was taken.
    await new Promise((resolve) => setImmediate(resolve));
    return pause;
  }
}

let server: MemoryLeaseServer;
let nodes: Node[] = [];
let one: Node;
let other: Node;
beforeEach(() => {
  server = new MemoryLeaseServer();
  nodes = [];
  one = new Node(server, 'one');
  other = new Node(server, 'other');
});
afterEach(async () => {
  for (const node of nodes) {
    node.key.fault = undefined;
    await node.lease.stop();
  }
});

test('one node takes the lease and holds it by writing it again, and the other knows the holder', async () => {
  for (let second = 0; second < 10; second++) {
    expect(await one.step()).toBe(1000);
    expect(await other.step()).toBeLessThan(1000);
    expect([one.lease.isHeld, other.lease.isHeld]).toEqual([true, false]);
    server.now += 1000;
  }
  expect(other.lease.holder?.node).toBe('one');
  expect([one.events, other.events]).toEqual([['hold'], []]);
});

test('a holder that is killed is followed by another when the key has vanished', async () => {
  await one.step();
  server.now += LEASE_MILLISECONDS - 1;
  await other.step();
  expect(other.lease.isHeld).toBe(false);
  server.now += 1;
  await other.step();
  expect(other.lease.isHeld).toBe(true);
});

test('a lease that is given back is taken at once', async () => {
  one.lease.start();
  await until(() => one.lease.isHeld, 'a holder');
  other.lease.start();
  await until(() => other.lease.holder?.node === 'one', 'the other to know it');
  await one.lease.stop();
  expect(one.events).toEqual(['hold', 'lose']);
  await until(() => other.lease.isHeld, 'the next holder');
  expect(server.now).toBe(0);
});

test('a holder ends its time before the key can vanish, though nothing tells it', async () => {
  await one.step();
  server.now += LEASE_MILLISECONDS - 501;
  expect(one.lease.isHeld).toBe(true);
  server.now += 1;
  expect(one.lease.isHeld).toBe(false);
  expect(server.record?.node).toBe('one');
  one.key.fault = 'unsent';
  await one.step();
  expect(one.events).toEqual(['hold', 'lose']);
});

test('the time is counted from when a write was sent, however late the answer comes', async () => {
  one.key.delay = () => {
    server.now += 1200;
    return Promise.resolve();
  };
  // It reads and writes.
  await one.step();
  expect(one.lease.isHeld).toBe(true);
  server.now += LEASE_MILLISECONDS - 500 - 1200;
  expect(one.lease.isHeld).toBe(false);
});

test('an answer that comes after the time has ended gives no lease', async () => {
  one.key.delay = () => {
    server.now += LEASE_MILLISECONDS - 500;
    return Promise.resolve();
  };
  await one.step();
  expect([one.lease.isHeld, one.events]).toEqual([false, []]);
});

test('a write that was stored, though its answer was lost, holds the lease from when it was sent', async () => {
  await one.step();
  server.now += 1000;
  one.key.fault = 'unanswered';
  await one.step();
  server.now += 200;
  await one.step();
  server.now += 200;
  one.key.fault = undefined;
  const before = server.now;
  await one.step();
  server.now = before + LEASE_MILLISECONDS - 501;
  expect(one.lease.isHeld).toBe(true);
  expect(one.events).toEqual(['hold']);
});

test('a first write whose answer was lost gives the lease once it is read, for the time since it was sent', async () => {
  one.key.delay = () => {
    // The read is answered, and the write is not.
    if (server.record !== undefined) one.key.delay = () => Promise.reject(new Error('no answer in time'));
    return server.record === undefined ? Promise.resolve() : Promise.reject(new Error('no answer in time'));
  };
  await one.step();
  expect(one.lease.isHeld).toBe(false);
  one.key.delay = () => Promise.resolve();
  server.now += LEASE_MILLISECONDS - 501;
  const write = one.key.write.bind(one.key);
  one.key.write = () => Promise.reject(new Error('no answer in time'));
  await one.step();
  expect(one.lease.isHeld).toBe(true);
  server.now += 1;
  expect(one.lease.isHeld).toBe(false);
  one.key.write = write;
});

test('a holder that was suspended has lost the lease when it wakes up, and does not take it from the next one', async () => {
  await one.step();
  server.now += LEASE_MILLISECONDS;
  await other.step();
  expect([one.lease.isHeld, other.lease.isHeld]).toEqual([false, true]);
  await one.step();
  await one.step();
  expect(one.events).toEqual(['hold', 'lose']);
  expect(one.lease.holder?.node).toBe('other');
});

test('a holder whose time has ended begins again, and does not go on, if nobody else has taken the lease', async () => {
  await one.step();
  server.now += LEASE_MILLISECONDS - 400;
  await one.step();
  expect(one.lease.isHeld).toBe(true);
  expect(one.events).toEqual(['hold', 'lose', 'hold']);
});

test('a node that may not hold the lease does not take it, and gives it back', async () => {
  one.unfit = 'it does not hear';
  await one.step();
  expect(server.record).toBeUndefined();
  one.unfit = undefined;
  await one.step();
  one.unfit = 'its clock is wrong';
  await one.step();
  expect(server.record).toBeUndefined();
  expect(one.events).toEqual(['hold', 'lose']);
  await other.step();
  expect(other.lease.isHeld).toBe(true);
  await one.step();
  expect(one.lease.holder?.node).toBe('other');
});

test('the duties of a holder begin when its node is ready, and not at all if its time has ended by then', async () => {
  let ready: () => void = () => undefined;
  one.begin = () => new Promise((resolve) => (ready = resolve));
  await one.step();
  expect([one.lease.isHeld, one.events]).toEqual([false, []]);
  server.now += 1000;
  await one.step();
  const first = ready;
  server.now += LEASE_MILLISECONDS;
  // The first of them finds that the key has vanished.
  await one.step();
  await one.step();
  first();
  await new Promise((resolve) => setImmediate(resolve));
  expect([one.lease.isHeld, one.events]).toEqual([false, []]);
  ready();
  await new Promise((resolve) => setImmediate(resolve));
  expect([one.lease.isHeld, one.events]).toEqual([true, ['hold']]);
});

test('a node that cannot begin gives the lease back, and leaves it to others for a while', async () => {
  one.begin = () => Promise.reject(new Error('it is behind'));
  await one.step();
  expect(server.record).toBeUndefined();
  server.now += 1000;
  await one.step();
  expect(server.record).toBeUndefined();
  await other.step();
  expect(other.lease.isHeld).toBe(true);
});

test.each([1, 2, 3, 4, 5])(
  'two nodes never hold the lease at once, whatever is lost and late (seed %i)',
  async (seed) => {
    const random = new Random(seed);
    const three = [one, other, new Node(server, 'third')];
    const steps: Promise<unknown>[] = [];
    const held = new Set<Node>();
    let changes = 0;
    for (let turn = 0; turn < 1500; turn++) {
      server.now += random.integer(0, 300);
      for (const node of three) {
        if (random.chance(0.05)) node.key.fault = random.pick(['unsent', 'unanswered', undefined, undefined]);
        if (random.chance(0.01)) node.unfit = random.pick(['no', undefined, undefined]);
        node.key.delay = async () => {
          for (let ticks = random.pick([0, 0, 0, 1, 5]); ticks > 0; ticks--)
            await new Promise((resolve) => setImmediate(resolve));
        };
      }
      const node = random.pick(three);
      if (!held.has(node)) {
        held.add(node);
        steps.push(node.lease.step().finally(() => held.delete(node)));
      }
      await new Promise((resolve) => setImmediate(resolve));
      const holders = three.filter(({ lease }) => lease.isHeld);
      expect(holders.length).toBeLessThanOrEqual(1);
    }
    await Promise.all(steps);
    for (const { events } of three) {
      changes += events.length;
      for (const [index, event] of events.entries()) expect(event).toBe(index % 2 === 0 ? 'hold' : 'lose');
    }
    expect(changes).toBeGreaterThan(20);
  },
);
