/** Tests of what clients see of a node that is behind, cut off from the others, or lost. */
import { afterEach, expect, test } from '@jest/globals';
import { MIN_PAYLOAD_BYTES } from '../../src/cluster/jetstream-link.ts';
import { publish, request, send } from '../support/api.ts';
import { entryOf } from '../../src/log/entry.ts';
import { encodedBytes, encodeEntry } from '../../src/log/order/entry-codec.ts';
import { draft } from '../support/log-file.ts';
import { MemoryNode, type MemoryNodeOptions } from '../support/memory-node.ts';
import { MemoryStream } from '../support/memory-stream.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';
import { StreamLaw } from '../support/wire-law.js';

const nodes: MemoryNode[] = [];
const streams: DeviceStream[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.close()));
  for (const { raw, response } of streams.splice(0)) {
    const law = new StreamLaw(undefined);
    law.feed(Buffer.from(raw));
    expect(law.faults).toEqual([]);
    response.destroy();
  }
});

async function start(stream: MemoryStream | undefined, options?: MemoryNodeOptions): Promise<MemoryNode> {
  const node = await MemoryNode.start(stream, options);
  nodes.push(node);
  return node;
}

async function open(node: MemoryNode, query: string): Promise<DeviceStream> {
  const stream = await DeviceStream.open(node.url, query);
  streams.push(stream);
  return stream;
}

/** A stream whose first entry begins an epoch, as `cluster init` leaves it. */
function newStream(): MemoryStream {
  const stream = new MemoryStream();
  stream.put(encodeEntry(stream, by(), entryOf({ kind: 'epoch', epoch: 'k3f9ab' })));
  return stream;
}

/** Two nodes, the second of which applies nothing from now on, and a cursor that it does not know. */
async function oneBehind(options?: MemoryNodeOptions): Promise<{ behind: MemoryNode; cursor: string }> {
  const stream = newStream();
  const [ahead, behind] = [await start(stream), await start(stream, options)];
  await send(ahead.url, 'bob', 0);
  await until(() => behind.log.head === 1, 'the first message');
  behind.memory.hold();
  const { id } = await send(ahead.url, 'bob', 1);
  return { behind, cursor: ahead.log.cursor(id) };
}

/** The bytes of a stream of NATS that this node does not hear any more. */
function deafen(stream: MemoryStream): void {
  stream.extent = () => Promise.reject(new Error('timeout'));
  stream.break();
}

const open503 = { status: 503, body: { status: 503 } };

/** An answer that is a problem with such a detail. */
function withDetail(status: number, detail: RegExp): object {
  return { status, body: { status, detail: expect.stringMatching(detail) as unknown } };
}

test('a stream whose cursor is ahead of its node says nothing until the node has caught up, and misses nothing', async () => {
  const { behind, cursor } = await oneBehind();
  const stream = await open(behind, `recipient=bob&lastEventId=${cursor}`);
  const socket = await SocketDevice.open(behind.url, `recipient=bob&lastEventId=${cursor}`);
  const pulled = request(`${behind.url}/messages?recipient=bob&after=${cursor}`);
  const isWaiting = (): boolean =>
    [...behind.parts.connections.open].filter(({ state }) => state === 'waiting').length === 3;
  await until(isWaiting, 'three that wait');
  expect([stream.raw, socket.texts]).toEqual(['', []]);
  behind.memory.release();
  await stream.waitFor('live');
  await until(() => socket.events.some(({ event }) => event === 'live'), 'the socket');
  expect(stream.find('ready')).toMatchObject({ id: cursor, data: { gap: false } });
  expect(socket.events[0]).toMatchObject({ event: 'ready', id: cursor, data: { gap: false } });
  expect(await pulled).toMatchObject({ status: 200, body: { messages: [], cursor, gap: false } });
  const next = await send(behind.url, 'bob', 2);
  expect(await stream.waitForMessages(1)).toEqual([next]);
});

test('a cursor of another history is restored as soon as the node has caught up', async () => {
  const { behind } = await oneBehind();
  const stream = await open(behind, 'recipient=bob&lastEventId=99-abcdef');
  const pulled = request(`${behind.url}/messages?recipient=bob&after=99-abcdef`);
  behind.memory.release();
  await stream.waitFor('live');
  expect(stream.gap).toBe('restored');
  expect(stream.messages.map(({ content }) => content)).toEqual([0, 1]);
  expect((await pulled).body).toMatchObject({ gap: 'restored' });
});

test('on a single node, a cursor of another history is restored at once', async () => {
  const node = await start(undefined);
  await send(node.url, 'bob', 0);
  expect(node.log.reach('99-abcdef')).toBeUndefined();
  const stream = await open(node, 'recipient=bob&lastEventId=99-abcdef');
  await stream.waitFor('live');
  expect(stream.gap).toBe('restored');
});

test('a node that does not catch up in time sends its clients away, and each keeps its own cursor', async () => {
  const { behind, cursor } = await oneBehind({ times: { catchUp: 100 } });
  const stream = await open(behind, `recipient=bob&lastEventId=${cursor}`);
  const socket = await SocketDevice.open(behind.url, `recipient=bob&lastEventId=${cursor}`);
  const bye = await stream.waitFor('bye');
  await stream.waitForEnd();
  expect(stream.events).toEqual([bye]);
  expect(bye).toMatchObject({ id: undefined, data: { reason: 'behind' } });
  expect(stream.retries[0]).toBeGreaterThanOrEqual(5000);
  await until(() => socket.close !== undefined, 'the close');
  expect(socket.events).toMatchObject([{ event: 'bye', data: { reason: 'behind' } }]);
  expect(socket.close).toEqual({ code: 1013, reason: 'behind' });
  const pulled = await request(`${behind.url}/messages?recipient=bob&after=${cursor}&wait=5`);
  expect(pulled).toMatchObject(withDetail(503, /behind the others/));
  expect(Number(pulled.headers.get('Retry-After'))).toBeGreaterThanOrEqual(5);
  expect(behind.parts.connections.open.size).toBe(0);
  expect(behind.parts.hub.deliveries.ended).toMatchObject({ behind: 2 });
  behind.memory.release();
});

test('streams and pulls that wait count as streams, and leave with their clients', async () => {
  const { behind, cursor } = await oneBehind({ env: { MAX_STREAMS: '3' } });
  const { connections, hub } = behind.parts;
  const query = `recipient=bob&lastEventId=${cursor}`;
  const stream = await open(behind, query);
  const socket = await SocketDevice.open(behind.url, query);
  const left = new AbortController();
  const url = `${behind.url}/messages?recipient=bob&after=${cursor}`;
  const pulled = fetch(url, { signal: left.signal }).catch(() => 'left');
  await until(() => connections.open.size === 3, 'three that wait');
  const refused = await open(behind, query);
  expect((await refused.waitFor('bye')).data).toMatchObject({ reason: 'over-limit' });
  expect(await request(url)).toMatchObject(open503);
  stream.cut();
  socket.socket.terminate();
  left.abort();
  expect(await pulled).toBe('left');
  await until(() => connections.open.size === 0, 'nobody');
  expect(hub.deliveries.ended).toMatchObject({ client: 2 });
  behind.memory.release();
});

test('streams and pulls that wait end with the service', async () => {
  const { behind, cursor } = await oneBehind();
  const stream = await open(behind, `recipient=bob&lastEventId=${cursor}`);
  const pulled = request(`${behind.url}/messages?recipient=bob&after=${cursor}`);
  await until(() => behind.parts.connections.open.size === 2, 'two that wait');
  behind.parts.connections.beginShutdown();
  await behind.parts.connections.shutdown();
  expect((await stream.waitFor('bye')).data).toMatchObject({ reason: 'shutdown' });
  expect(await pulled).toMatchObject(open503);
  behind.memory.release();
});

test('a node that hears nothing sends everybody away over a time, and serves nothing that may be stale', async () => {
  const stream = newStream();
  const node = await start(stream, { times: { hearing: 4000, catchUp: 100 } });
  await send(node.url, 'bob', 0);
  const devices = await Promise.all(Array.from({ length: 20 }, () => open(node, 'recipient=bob')));
  const socket = await SocketDevice.open(node.url, 'recipient=bob');
  const polled = request(`${node.url}/messages?recipient=bob&after=${node.log.cursor(1)}&wait=60`);
  await until(() => node.parts.connections.open.size === 22, 'all of them');
  deafen(stream);
  await node.waitFor('deaf');
  // Not all of them at once.
  await until(() => node.parts.hub.deliveries.ended.disconnected > 0, 'the first');
  expect(node.parts.connections.open.size).toBeGreaterThan(5);
  for (const device of devices) {
    const bye = await device.waitFor('bye');
    expect(bye).toMatchObject({ id: node.log.cursor(1), data: { reason: 'disconnected' } });
    expect(device.retries.at(-1)).toBeGreaterThanOrEqual(5000);
  }
  await until(() => socket.close !== undefined, 'the close');
  expect(socket.close).toEqual({ code: 1013, reason: 'disconnected' });
  expect(await polled).toMatchObject({ status: 200, body: { messages: [] } });

  const late = await open(node, 'recipient=bob&last=5');
  expect(await late.waitFor('bye')).toMatchObject({ data: { reason: 'disconnected' } });
  await expect(publish(node.url, { recipient: 'bob', content: 1 })).resolves.toMatchObject({
    status: 503,
    body: { stored: 'no' },
  });
  await expect(publish(node.url, { recipient: 'bob', content: 1, ephemeral: true })).resolves.toMatchObject({
    status: 503,
    body: { stored: 'no' },
  });
  for (const path of [
    'messages?recipient=bob',
    'messages/1',
    'messages?recipient=bob&before=latest',
    'conversations?recipient=bob',
    'presence?recipient=bob',
    'push-subscriptions?recipient=bob',
    'push-key',
    'session',
  ]) {
    const answer = await request(`${node.url}/${path}`);
    expect([path, answer.status]).toEqual([path, 503]);
    expect(Number(answer.headers.get('Retry-After'))).toBeGreaterThanOrEqual(5);
  }
  const ready = await request(`${node.url}/readyz`);
  expect(ready).toMatchObject(withDetail(503, /^Not ready: this node is cut off from the others\.$/));
  expect((await request(`${node.url}/healthz`)).status).toBe(200);
  for (const path of ['metrics', '', 'client.js']) {
    expect([path, (await fetch(`${node.url}/${path}`)).status]).toEqual([path, 200]);
  }
});

test('a node that hears again serves again, once it has what it missed', async () => {
  const stream = newStream();
  const [other, node] = [
    await start(stream, { times: { hearing: 60_000 } }),
    await start(stream, { times: { hearing: 4000 }, spread: 60_000 }),
  ];
  await send(other.url, 'bob', 0);
  const device = await open(node, 'recipient=bob');
  await device.waitFor('live');
  await until(() => node.log.head === 1, 'the first message');
  node.memory.hold();
  await node.waitFor('deaf');
  await until(() => device.closed, 'the end');
  await send(other.url, 'bob', 1);
  await node.waitFor('joining');
  expect((await request(`${node.url}/readyz`)).status).toBe(503);
  expect((await request(`${node.url}/messages?recipient=bob`)).status).toBe(503);
  node.memory.release();
  const again = setInterval(
    () => stream.put(encodeEntry(stream, by(), entryOf({ kind: 'tick', retentionTime: 0 }))),
    50,
  );
  try {
    await node.waitFor('following');
    const pulled = await request(`${node.url}/messages?recipient=bob&after=${device.cursor ?? ''}`);
    expect(pulled).toMatchObject({ status: 200, body: { messages: [{ content: 1 }], gap: false } });
    expect((await request(`${node.url}/readyz`)).status).toBe(200);
    expect((await publish(node.url, { recipient: 'bob', content: 2 })).status).toBe(201);
  } finally {
    clearInterval(again);
  }
  const told = node.lines.map(({ msg }) => msg);
  expect(told).toEqual(
    expect.arrayContaining(['this node serves no clients', 'this node serves clients again']),
  );
});

test('clients of a node that stays cut off are told to come back later and later, up to a minute', async () => {
  const stream = newStream();
  const node = await start(stream, { times: { hearing: 500 } });
  await node.waitFor('deaf');
  const { outage } = node.parts;
  await until(() => outage.retry.max > 15_000, 'a longer wait');
  const { performance: clock } = globalThis;
  const now = clock.now.bind(clock);
  clock.now = () => now() + 600_000;
  try {
    expect(outage.retry).toEqual({ min: 20_000, max: 60_000 });
  } finally {
    clock.now = now;
  }
});

test.each<[string, (stream: MemoryStream) => void, string]>([
  ['was made again', (stream) => (stream.logId = 'another'), 'cluster reseed'],
  ['has lost what was stored', (stream) => stream.entries.splice(0), 'cluster reseed'],
  [
    'has an entry of a newer program',
    (stream) =>
      stream.put(
        encodeEntry(stream, by(), {
          ...entryOf({ kind: 'append', batches: [[draft({ content: '1' })]] }),
          v: 2,
        }),
      ),
    'run a newer one',
  ],
])(
  'a node whose stream %s stays up, serves nobody, and tells its operator once what to do',
  async (_what, change, advice) => {
    const stream = newStream();
    const node = await start(stream);
    await send(node.url, 'bob', 0);
    const device = await open(node, 'recipient=bob');
    await device.waitFor('live');
    change(stream);
    stream.break();
    await node.waitFor('lost');
    expect((await device.waitFor('bye')).data).toMatchObject({ reason: 'disconnected' });
    expect((await request(`${node.url}/healthz`)).status).toBe(200);
    const ready = await request(`${node.url}/readyz`);
    expect(ready).toMatchObject(withDetail(503, /stopped following/));
    await expect(publish(node.url, { recipient: 'bob', content: 1 })).resolves.toMatchObject({
      status: 503,
      body: { stored: 'no' },
    });
    const fatal = node.lines.filter(({ level }) => level === 60);
    expect(fatal).toHaveLength(1);
    const told = node.lines.map(({ msg }) => msg);
    expect(told.filter((msg) => msg === 'this node serves no clients')).toHaveLength(1);
    const doubted = told.some((msg) => msg.includes('checks whether the log in NATS is the one it knows'));
    expect(doubted).toBe(advice === 'cluster reseed');
    expect(fatal[0]?.err?.message).toContain(advice);
    expect(node.memory.fatal).toEqual([]);
  },
);

test('a batch that is too large for the stream is 413, with its bytes and the bound, also on a socket', async () => {
  const stream = newStream();
  stream.maxBytes = 200_000;
  const node = await start(stream);
  const batch = Array.from({ length: 10 }, () => ({ recipient: 'bob', content: 'x'.repeat(40_000) }));
  const detail = /^The batch takes 40\d{4} bytes in the log, but may take at most 200000: split it\.$/;
  const refused = await publish(node.url, batch);
  expect(refused).toMatchObject(withDetail(413, detail));
  const socket = await SocketDevice.open(node.url, 'recipient=bob');
  socket.socket.send(JSON.stringify({ publish: batch, ref: 'a' }));
  const isRefused = (): boolean => socket.events.some(({ event }) => event === 'refused');
  await until(isRefused, 'the answer');
  const answer = socket.events.find(({ event }) => event === 'refused');
  expect(answer).toMatchObject({ ref: 'a', data: { status: 413 } });
  expect(stream.entries.filter(({ bytes }) => bytes.length > 100_000)).toEqual([]);
  expect((await publish(node.url, batch.slice(0, 4))).status).toBe(201);
});

test('a publish that the others do not confirm in time may have been stored, and its repeat stores it once', async () => {
  const stream = newStream();
  const node = await start(stream, { times: { settle: 200 } });
  let resume = (): void => undefined;
  const paused = new Promise<boolean>((resolve) => (resume = () => resolve(false)));
  stream.beforeAppend = () => paused;
  const message = { recipient: 'bob', content: 'once', idempotencyKey: 'k' };
  expect(await publish(node.url, message)).toMatchObject({ status: 503, body: { stored: 'unknown' } });
  stream.beforeAppend = () => false;
  resume();
  await until(() => node.log.head === 1, 'the late one');
  expect(await publish(node.url, message)).toMatchObject({ status: 200, body: { id: 1 } });
});

test('a single message of any content fits into the smallest entry that the service takes', () => {
  // 48 KiB of JSON whose every character has to be escaped once more.
  const content = JSON.stringify('\\'.repeat(24 * 1024 - 1));
  expect(content).toHaveLength(48 * 1024);
  const address = String.fromCodePoint(0x1f30a).repeat(128);
  const one = draft({ sender: address, recipient: address, content, idempotencyKey: address });
  expect(encodedBytes([one])).toBeLessThan(MIN_PAYLOAD_BYTES / 2);
});

let counter = 0;
function by(): { proposer: string; counter: number } {
  return { proposer: 'stranger', counter: ++counter };
}
