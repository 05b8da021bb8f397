import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Beat } from '../../src/cluster/bus-message.ts';
import { BusNode, MemoryBus } from '../support/memory-bus.ts';

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
  pass(6000);
  return nodes;
}

const refusals = (nodes: readonly BusNode[]): (string | undefined)[] => nodes.map(({ refused }) => refused);

const OUTVOTED = 'this node has a different state from the others of its cluster';
const UNDECIDED = 'the nodes of the cluster have different states, and none has a majority';

/** A heartbeat of a stranger. */
const beat = (fields: Partial<Beat> = {}): Beat => ({
  kind: 'beat',
  name: 'stranger',
  version: '1',
  entryVersion: 1,
  through: 2000,
  digests: [{ sequence: 1000, digest: 'other' }],
  connections: 0,
  since: 1,
  unready: null,
  retention: { days: 0, messages: 0 },
  divergedAt: null,
  presence: 0,
  ...fields,
});

const bytesOf = (from: string, message: unknown, log = 'log/1'): Buffer =>
  Buffer.from(JSON.stringify({ from, log, ...(message as object) }));

describe('the members of a cluster', () => {
  test('nodes know each other a moment after the last one has started, and show the state of each', async () => {
    const one = new BusNode(network, 'one').start();
    pass(700);
    const two = new BusNode(network, 'two').start();
    pass(150);
    expect([one.peers.others, two.peers.others]).toEqual([1, 1]);
    one.through = 7;
    two.last = 9;
    pass(1000);
    const { nodes, node, log, lease, snapshot, natsFlushes } = await two.peers.view();
    expect(node).toBe('two');
    expect(nodes).toMatchObject([
      { id: 'one', name: 'one', ready: true, divergedAt: null, position: 7, lag: 2, connections: 0 },
      { id: 'two', name: 'two', position: 0, lag: 9 },
    ]);
    expect(nodes[0]?.version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(nodes.map(({ since }) => Date.parse(since))).toEqual([1_000_000, 1_000_700]);
    expect(log).toEqual({ logId: 'log', generation: 1, first: 1, last: 9 });
    expect([lease, snapshot, natsFlushes]).toEqual([null, null, 'unknown']);
  });

  test('nodes are shown while NATS does not answer, without the facts that only NATS has', async () => {
    const [one] = startNodes('one') as [BusNode];
    one.last = undefined;
    expect(await one.peers.view()).toMatchObject({
      nodes: [{ id: 'one', lag: null }],
      log: { logId: null, last: null },
    });
    expect(await one.peers.lag()).toBeNaN();
  });

  test('a node that misses heartbeats for less than 5 s is there, and one that is silent for longer is not', () => {
    const [one, two] = startNodes('one', 'two') as [BusNode, BusNode];
    two.line.isConnected = false;
    pass(4500);
    expect(one.peers.others).toBe(1);
    pass(2000);
    expect(one.peers.others).toBe(0);
  });

  test('two nodes with one name are warned, once each, and one that was started again under its name is not', () => {
    const [one, two] = ['a', 'b'].map((id) => new BusNode(network, 'same', id).start()) as [BusNode, BusNode];
    pass(20_000);
    for (const node of [one, two]) expect(node.logged('warn')).toHaveLength(1);
    expect(one.logged('warn')[0]).toMatchObject({ name: 'same', node: 'a', other: 'b' });
    const gone = new BusNode(network, 'again', 'c').start();
    pass(10_000);
    gone.line.isConnected = false;
    const again = new BusNode(network, 'again', 'd').start();
    pass(20_000);
    expect(again.logged('warn')).toEqual([]);
  });

  test('more than 100 other nodes are ignored', () => {
    const [one] = startNodes('one') as [BusNode];
    const stranger = network.line();
    for (let index = 0; index < 500; index++) stranger.publish(bytesOf(`s${index}`, beat()));
    expect(one.peers.others).toBe(100);
    expect(one.bus.counts).toMatchObject({ received: 500, ignored: 400 });
  });

  test('after heartbeats of more nodes than can be remembered, positions are unknown for 15 minutes', () => {
    const [one] = startNodes('one') as [BusNode];
    pass(15 * 60_000);
    expect(one.peers.positions).toEqual([0]);
    const stranger = network.line();
    for (let index = 0; index < 5000; index++) stranger.publish(bytesOf(`s${index}`, beat()));
    expect(one.peers.positions).toBeUndefined();
    pass(14 * 60_000);
    expect(one.peers.positions).toBeUndefined();
    pass(60_000);
    expect(one.peers.positions).toEqual([0]);
    // Those that were remembered are forgotten, so that there is room for others.
    stranger.publish(bytesOf('other', beat()));
    expect(one.peers.positions).toEqual([0, 2000]);
  });

  test('a message of a stranger under the id of its receiver is dropped, in whatever order its fields are', () => {
    const [one] = startNodes('one') as [BusNode];
    const stranger = network.line();
    stranger.publish(bytesOf('one', beat()));
    stranger.publish(Buffer.from(JSON.stringify({ log: 'log/1', ...beat(), from: 'one' })));
    expect([one.peers.others, one.bus.counts.received]).toEqual([0, 0]);
  });
});

describe('digests of nodes', () => {
  test('a node that differs from a majority stops, says so, and does not take publishes again; the others go on', () => {
    const nodes = startNodes('one', 'two', 'three') as [BusNode, BusNode, BusNode];
    const [one, two, three] = nodes;
    for (const node of nodes) node.apply(1500, 'same');
    pass(3000);
    expect(refusals(nodes)).toEqual([undefined, undefined, undefined]);
    one.apply(2100, 'a');
    two.apply(2100, 'b');
    three.apply(2100, 'a');
    pass(3000);
    expect(refusals(nodes)).toEqual([undefined, OUTVOTED, undefined]);
    expect(two.logged('fatal')).toMatchObject([
      {
        sequence: 2000,
        digest: 'b',
        nodes: expect.arrayContaining([
          { node: 'one', name: 'one', digest: 'a' },
          { node: 'two', name: 'two', digest: 'b' },
          { node: 'three', name: 'three', digest: 'a' },
        ]) as unknown,
      },
    ]);
    expect(one.logged('error')).toMatchObject([{ sequence: 2000, node: 'two', itsDigest: 'b' }]);
    expect(nodes.map(({ peers }) => peers.mismatches)).toEqual([1, 1, 1]);
    // The one that has stopped has no vote when there are only two.
    three.peers.stop();
    one.apply(5000, 'a');
    two.apply(5000, 'b');
    pass(30_000);
    expect(refusals([one, two])).toEqual([undefined, OUTVOTED]);
    expect([one.logged('error').length, two.logged('fatal').length]).toEqual([1, 1]);
  });

  test.each([
    ['two nodes', ['a', 'b']],
    ['three nodes', ['a', 'b', 'c']],
    ['two nodes against two', ['a', 'b', 'a', 'b']],
  ])('%s without a majority all stop', (_which, digests) => {
    const nodes = startNodes(...digests.map((_digest, index) => `node-${index}`));
    for (const [index, node] of nodes.entries()) node.apply(1000, digests[index] ?? '');
    pass(3000);
    expect(refusals(nodes)).toEqual(digests.map(() => UNDECIDED));
  });

  test('a difference is judged when the nodes behind have caught up to it, or after 10 s', () => {
    const nodes = startNodes('one', 'two', 'three') as [BusNode, BusNode, BusNode];
    const [one, two, three] = nodes;
    one.apply(1000, 'a');
    two.apply(1000, 'b');
    three.apply(999, 'b');
    pass(5000);
    expect(refusals(nodes)).toEqual([undefined, undefined, undefined]);
    three.apply(1000, 'b');
    pass(3000);
    expect(refusals(nodes)).toEqual([OUTVOTED, undefined, undefined]);
    two.apply(2000, 'b');
    three.apply(2000, 'c');
    const four = new BusNode(network, 'four').start();
    pass(8000);
    expect(refusals([two, three, four])).toEqual([undefined, undefined, undefined]);
    pass(6000);
    expect(refusals([two, three, four])).toEqual([UNDECIDED, UNDECIDED, undefined]);
  });

  test.each([
    ['before it reports a difference', 'late'],
    ['after it has reported what others report later', 'early'],
  ])('a node that is silent for some seconds %s has its vote', (_when, order) => {
    const nodes = startNodes('one', 'two', 'three') as [BusNode, BusNode, BusNode];
    const [one, two, three] = nodes;
    if (order === 'early') {
      three.apply(1000, 'a');
      pass(2000);
    }
    three.line.isConnected = false;
    pass(9000);
    expect([one.peers.others, two.peers.others]).toEqual([1, 1]);
    one.apply(1000, 'a');
    two.apply(1000, 'b');
    if (order === 'late') {
      pass(20_000);
      expect(refusals(nodes)).toEqual([undefined, undefined, undefined]);
      three.line.isConnected = true;
      three.apply(1000, 'a');
    }
    pass(3000);
    expect(refusals(nodes)).toEqual([undefined, OUTVOTED, undefined]);
  });

  test('a node that is away for a minute is no longer waited for, and one that said bye is not waited for at all', () => {
    const nodes = startNodes('one', 'two', 'three') as [BusNode, BusNode, BusNode];
    const [one, two, three] = nodes;
    three.line.isConnected = false;
    one.apply(1000, 'a');
    two.apply(1000, 'b');
    pass(50_000);
    expect(refusals([one, two])).toEqual([undefined, undefined]);
    pass(15_000);
    expect(refusals([one, two])).toEqual([UNDECIDED, UNDECIDED]);

    const others = startNodes('four', 'five', 'six') as [BusNode, BusNode, BusNode];
    others[2].peers.stop();
    others[0].apply(5000, 'a');
    others[1].apply(5000, 'b');
    pass(3000);
    expect(refusals(others)).toEqual([UNDECIDED, UNDECIDED, undefined]);
  });

  test('a majority of all nodes decides at once, whoever is silent', () => {
    const nodes = startNodes('one', 'two', 'three', 'four', 'five');
    const [, , , bad, silent] = nodes as [BusNode, BusNode, BusNode, BusNode, BusNode];
    silent.line.isConnected = false;
    pass(7000);
    for (const node of nodes.slice(0, 3)) node.apply(1000, 'a');
    bad.apply(1000, 'b');
    pass(2000);
    expect(refusals(nodes)).toEqual([undefined, undefined, undefined, OUTVOTED, undefined]);
  });

  test('a node that catches up is waited for longer than one that stands still', () => {
    const nodes = startNodes('one', 'two') as [BusNode, BusNode];
    const [one, two] = nodes;
    const joining = new BusNode(network, 'joining').start();
    one.apply(1000, 'a');
    two.apply(1000, 'b');
    for (let second = 0; second < 30; second++) {
      joining.through += 10;
      pass(1000);
    }
    expect(refusals(nodes)).toEqual([undefined, undefined]);
    joining.apply(1000, 'a');
    pass(2000);
    expect(refusals([one, two, joining])).toEqual([undefined, OUTVOTED, undefined]);
  });

  test.each(Array.from({ length: 10 }, (_, index) => 100 * index))(
    'a node that differs right after its start hears all votes before it judges: heartbeats %i ms apart',
    (apart) => {
      const one = new BusNode(network, 'one').start();
      pass(apart);
      const two = new BusNode(network, 'two').start();
      pass(6000);
      for (const node of [one, two]) node.apply(1000, 'a');
      pass(550);
      const three = new BusNode(network, 'three').start();
      three.apply(1000, 'b');
      pass(10_000);
      expect(refusals([one, two, three])).toEqual([undefined, undefined, OUTVOTED]);
    },
  );

  test('a node that is started again and again with an old copy has one vote', () => {
    const nodes = startNodes('one', 'two') as [BusNode, BusNode];
    for (const node of nodes) node.apply(1000, 'a');
    for (let start = 0; start < 4; start++) {
      const again = new BusNode(network, 'again', `start-${start}`).start();
      pass(2000);
      again.apply(1000, 'b');
      pass(5000);
      expect(again.refused).toBe(OUTVOTED);
      again.line.isConnected = false;
      pass(7000);
    }
    expect(refusals(nodes)).toEqual([undefined, undefined]);
  });

  test('heartbeats that are lost, late and out of order hide no difference, and make none', () => {
    const nodes = startNodes('one', 'two', 'three') as [BusNode, BusNode, BusNode];
    let message = 0;
    // Of three, one is lost, one comes twice, one comes after the next.
    network.fate = () => [[], [0, 700], [1300]][message++ % 3] as number[];
    for (let through = 1000; through <= 20_000; through += 1000) {
      for (const node of nodes) node.apply(through, 'same');
      pass(400);
    }
    pass(8000);
    expect(refusals(nodes)).toEqual([undefined, undefined, undefined]);
    for (const [index, node] of nodes.entries()) node.apply(21_000, index === 2 ? 'other' : 'same');
    pass(12_000);
    expect(refusals(nodes)).toEqual([undefined, undefined, OUTVOTED]);
  });

  test.each([
    ['a heartbeat', [bytesOf('s', beat())]],
    ['heartbeats of many ids', Array.from({ length: 50 }, (_, index) => bytesOf(`s${index}`, beat()))],
    ['many heartbeats at once', Array.from({ length: 50 }, () => bytesOf('s', beat()))],
    ['something that is no JSON', [Buffer.from('hello'), Buffer.from([0xff, 0])]],
    ['a heartbeat of another log', Array.from({ length: 9 }, () => bytesOf('s', beat(), 'log/2'))],
  ])('%s of a stranger stops nobody', (_what, messages) => {
    // Alone, it would differ from half of all votes.
    const nodes = startNodes('one') as [BusNode];
    for (const node of nodes) node.apply(1000, 'same');
    const stranger = network.line();
    for (const message of messages) stranger.publish(message);
    pass(30_000);
    expect(refusals(nodes)).toEqual([undefined]);
    const { malformed, foreign } = nodes[0].bus.counts;
    const isUnread = !messages.some((bytes) => bytes.includes('log/1'));
    expect(malformed + foreign).toBe(isUnread ? messages.length : 0);
  });
});

test.each<[string, unknown]>([
  ['nothing', ''],
  ['a list', []],
  ['no sender', { log: 'log/1', kind: 'bye' }],
  ['no log', { from: 's', kind: 'bye' }],
  ['a kind of an object', { from: 's', log: 'log/1', kind: 'toString' }],
  ['a heartbeat without a position', { from: 's', log: 'log/1', ...beat(), through: undefined }],
  ['a negative position', { from: 's', log: 'log/1', ...beat({ through: -1 }) }],
  ['a time beyond all times', { from: 's', log: 'log/1', ...beat({ since: 9e15 }) }],
  ['a name of another type', { from: 's', log: 'log/1', ...beat(), name: {} }],
  ['digests without a digest', { from: 's', log: 'log/1', ...beat(), digests: [{ sequence: 1 }] }],
  ['an address that is none', { from: 's', log: 'log/1', kind: 'presence', number: 1, devices: [['*', 1]] }],
  [
    'more digests than a node has',
    {
      from: 's',
      log: 'log/1',
      ...beat({ digests: Array.from({ length: 101 }, (_, sequence) => ({ sequence, digest: 'a' })) }),
    },
  ],
  [
    'more addresses than a message has',
    {
      from: 's',
      log: 'log/1',
      kind: 'presence',
      number: 1,
      devices: Array.from({ length: 4097 }, (_, index) => [`a${index}`, 1]),
    },
  ],
  [
    'more devices than can be added up',
    { from: 's', log: 'log/1', kind: 'presence', number: 1, devices: [['bob', Number.MAX_SAFE_INTEGER]] },
  ],
  [
    'more takers than can be added up',
    { from: 's', log: 'log/1', kind: 'taken', of: 'one', id: 1, devices: Number.MAX_SAFE_INTEGER },
  ],
  ['a part of a device', { from: 's', log: 'log/1', kind: 'presence', number: 1, devices: [['bob', 0.5]] }],
  ...(
    [
      ['of two lines', { content: '{\n}' }],
      ['without JSON', { content: 'hi"' }],
      ['with a type that ends its frame', { type: 'a","x":"' }],
      ['with a key', { idempotencyKey: 'k' }],
      ['to everybody', { recipient: '*' }],
    ] as const
  ).map(([what, fields]): [string, unknown] => [
    `an ephemeral message ${what}`,
    {
      from: 's',
      log: 'log/1',
      kind: 'ephemeral',
      message: {
        sender: 'a',
        recipient: 'b',
        type: 'typing',
        content: '1',
        createdAt: 1,
        idempotencyKey: null,
        expiresAt: null,
        background: 0,
        ...fields,
      },
    },
  ]),
])('a malformed message on the bus is counted and ignored: %s', (_what, value) => {
  const one = new BusNode(network, 'one').start();
  network.line().publish(Buffer.from(JSON.stringify(value)));
  expect(one.bus.counts).toMatchObject({ malformed: 1, received: 0 });
});
