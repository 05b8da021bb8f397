import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { BusNode, MemoryBus } from '../support/memory-bus.ts';
import { Random } from '../support/random.ts';

let network: MemoryBus;
beforeEach(() => {
  jest.useFakeTimers({ now: 1_000_000 });
  network = new MemoryBus();
});
afterEach(() => {
  jest.useRealTimers();
});

const pass = (milliseconds: number): void => {
  jest.advanceTimersByTime(milliseconds);
};

/** Nodes that have been there for some seconds. */
function startNodes(...names: string[]): BusNode[] {
  const nodes = names.map((name) => new BusNode(network, name).start());
  pass(3000);
  return nodes;
}

const devicesOn = (nodes: readonly BusNode[], address: string): number[] =>
  nodes.map(({ presence }) => presence.state(address).devices);

/** Returns the events that a watcher of an address gets on a node. */
function watch({ presence }: BusNode, address: string): boolean[] {
  const told: boolean[] = [];
  const tell = (): void => void told.push(presence.state(address).online);
  presence.watch({ watched: [address], note: () => undefined, tell });
  return told;
}

test('the devices of an address are those on all nodes together', () => {
  const [one, two, three] = startNodes('one', 'two', 'three') as [BusNode, BusNode, BusNode];
  one.presence.join(['bob', 'room']);
  two.presence.join(['bob']);
  two.presence.join(['bob']);
  expect(one.presence.state('bob').devices).toBe(1);
  pass(300);
  expect(devicesOn([one, two, three], 'bob')).toEqual([3, 3, 3]);
  expect(devicesOn([one, two, three], 'room')).toEqual([1, 1, 1]);
  two.presence.leave(['bob']);
  pass(300);
  expect(devicesOn([one, two, three], 'bob')).toEqual([2, 2, 2]);
});

test('changes of presence within 200 ms are told in one message', () => {
  const [one, two] = startNodes('one', 'two') as [BusNode, BusNode];
  const before = two.bus.counts.received;
  for (let index = 0; index < 50; index++) {
    one.presence.join([`name-${index}`]);
    pass(2);
  }
  pass(250);
  expect(devicesOn([two], 'name-49')).toEqual([1]);
  expect(two.bus.counts.received - before).toBeLessThanOrEqual(2);
});

test('a device that goes to another node within 6 s was not offline on any', () => {
  const nodes = startNodes('one', 'two', 'three') as [BusNode, BusNode, BusNode];
  nodes[0].presence.join(['bob']);
  pass(300);
  const told = nodes.map((node) => watch(node, 'bob'));
  nodes[0].presence.leave(['bob']);
  pass(5000);
  nodes[1].presence.join(['bob']);
  pass(20_000);
  expect(devicesOn(nodes, 'bob')).toEqual([1, 1, 1]);
  expect(told).toEqual([[], [], []]);
});

test('the devices of a node that falls silent are offline after 5 s and the 6 s of each address', () => {
  const [one, two] = startNodes('one', 'two') as [BusNode, BusNode];
  one.presence.join(['bob']);
  two.presence.join(['carol']);
  pass(300);
  const told = watch(two, 'bob');
  one.line.isConnected = false;
  pass(10_000);
  expect(two.presence.state('bob')).toMatchObject({ online: true, devices: 0 });
  pass(2500);
  expect(two.presence.state('bob').online).toBe(false);
  expect(told).toEqual([false]);
  expect(two.presence.state('carol').devices).toBe(1);
  expect(two.peers.others).toBe(0);
  // Changes that nobody heard of are known as well when the node is back.
  one.presence.leave(['bob']);
  one.presence.join(['dora']);
  pass(1000);
  one.line.isConnected = true;
  pass(5000);
  expect(['bob', 'dora', 'carol'].map((name) => devicesOn([one, two], name))).toEqual([
    [0, 0],
    [1, 1],
    [1, 1],
  ]);
});

test('the devices of a node that ends are offline after the 6 s of each address', () => {
  const [one, two] = startNodes('one', 'two') as [BusNode, BusNode];
  one.presence.join(['bob']);
  pass(300);
  one.peers.stop();
  expect([two.peers.others, two.presence.state('bob').devices]).toEqual([0, 0]);
  pass(5900);
  expect(two.presence.state('bob').online).toBe(true);
  pass(300);
  expect(two.presence.state('bob').online).toBe(false);
});

test('a node that joins learns of all devices of the others within a second or so, however many messages they take', () => {
  const one = new BusNode(network, 'one').start();
  const names = Array.from({ length: 10_000 }, (_, index) => `someone-${index}`);
  one.presence.join(names);
  pass(1000);
  const two = new BusNode(network, 'two').start();
  pass(1500);
  expect(names.filter((name) => two.presence.state(name).devices !== 1)).toEqual([]);
  expect(two.bus.counts.received).toBeGreaterThan(5);
  one.presence.leave(names);
  pass(10_000);
  expect(names.filter((name) => two.presence.state(name).online)).toEqual([]);
});

test('a change while all devices are being told is neither lost nor undone', () => {
  const one = new BusNode(network, 'one').start();
  const names = Array.from({ length: 10_000 }, (_, index) => `someone-${index}`);
  one.presence.join(names);
  pass(1000);
  // In the middle of the answer, one leaves that was named already, one that was not, and one comes.
  let parts = 0;
  network.fate = (_from, to) => {
    if (to === two.line && two.bus.counts.received > 1 && ++parts === 2) {
      one.presence.leave(['someone-0', 'someone-9999']);
      one.presence.join(['new']);
    }
    return [0];
  };
  const two = new BusNode(network, 'two').start();
  pass(3000);
  expect(parts).toBeGreaterThan(2);
  expect(['someone-0', 'someone-9999', 'new', 'someone-1'].map((name) => devicesOn([two], name)[0])).toEqual([
    0, 0, 1, 1,
  ]);
});

test('a process that stood still for longer than 5 s does not take the others for gone', () => {
  const [one, two] = startNodes('one', 'two') as [BusNode, BusNode];
  two.presence.join(['bob']);
  pass(300);
  const told = watch(one, 'bob');
  // Its clocks went on, and its timers come first.
  const now = performance.now();
  const clock = jest.spyOn(performance, 'now').mockImplementation(() => now + 60_000);
  network.fate = () => [];
  pass(1000);
  network.fate = () => [0];
  expect(one.peers.others).toBe(1);
  clock.mockRestore();
  expect(told).toEqual([]);
});

test.each(Array.from({ length: 8 }, (_, seed) => seed))(
  'after messages were lost, doubled, late and out of order, all nodes agree on all devices: seed %d',
  (seed) => {
    const random = new Random(seed);
    const nodes = startNodes('one', 'two', 'three');
    const names = ['ann', 'bob', 'cem', 'dora', 'emil'];
    const open = nodes.map((): string[] => []);
    network.fate = () => {
      const copies = random.pick([0, 1, 1, 1, 2]);
      return Array.from({ length: copies }, () => random.pick([0, 0, 1, 50, 300]));
    };
    for (let step = 0; step < 200; step++) {
      const at = random.integer(0, nodes.length - 1);
      const node = nodes[at] as BusNode;
      const own = open[at] as string[];
      if (own.length > 0 && random.chance(0.5)) {
        node.presence.leave(own.splice(random.integer(0, own.length - 1), 1));
      } else {
        const name = random.pick(names);
        own.push(name);
        node.presence.join([name]);
      }
      if (random.chance(0.025)) node.line.isConnected = !node.line.isConnected;
      pass(random.integer(0, 150));
    }
    for (const { line } of nodes) line.isConnected = true;
    network.fate = () => [0];
    pass(8000);
    for (const name of names) {
      const count = open.flat().filter((one) => one === name).length;
      expect([name, devicesOn(nodes, name)]).toEqual([name, [count, count, count]]);
    }
  },
);
