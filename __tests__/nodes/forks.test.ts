/**
 * No fault of the stream makes a fork: no node serves a history that others do not have. A node that cannot follow refuses
 * publishes and is not ready, and an operator brings the cluster back with `cluster reseed`.
 */
import { cpSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import Sqlite from 'better-sqlite3';
import { afterAll, expect, test } from '@jest/globals';
import { publish, type WireMessage } from '../support/api.ts';
import { publishUntilStored, waitForEqualNodes } from '../support/chaos.ts';
import { positionOf } from '../support/position.ts';
import { describeNats, natsTest, PATIENT } from '../support/nats.ts';
import { Nodes } from '../support/nodes.ts';
import { headCursor, pullAll } from '../support/pull.ts';
import { Random } from '../support/random.ts';
import { cleanUp, undoAtEnd } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until, within } from '../support/until.ts';

/** A stream that seems to be another one is doubted for 15 s; this is that time, and what a slow machine adds. */
const NOTICE_MILLISECONDS = 60_000;
const TEST_MILLISECONDS = 240_000;

async function connectTo(nodes: Nodes): Promise<NatsConnection> {
  const connection = await connect({ servers: nodes.nats.url.split(',') });
  undoAtEnd(() => connection.close());
  return connection;
}

async function streamConfig(connection: NatsConnection, name: string): Promise<StreamConfig> {
  return (await (await jetstreamManager(connection, PATIENT)).streams.info(name)).config;
}

async function isReady(nodes: Nodes, index: number): Promise<boolean> {
  const answer = await within(3000, fetch(`${nodes.urlOf(index)}/readyz`));
  await answer?.body?.cancel();
  return answer?.status === 200;
}

/** Waits until a node says that it cannot serve, and makes sure that it acknowledges nothing. */
async function expectStopped(nodes: Nodes, index: number): Promise<void> {
  await until(
    async () => !(await isReady(nodes, index)),
    `node ${index} not to be ready`,
    NOTICE_MILLISECONDS,
  );
  const draft = { recipient: 'bob', content: 'in a fork', idempotencyKey: `fork-${index}` };
  const answer = await within(35_000, publish(nodes.urlOf(index), draft));
  expect(answer?.status ?? 503).toBe(503);
}

/** Waits until no node can serve. */
async function expectAllStopped(nodes: Nodes): Promise<void> {
  await Promise.all(nodes.indices.map((index) => expectStopped(nodes, index)));
}

/** Waits until a node has settled: it is ready, or has been not ready for as long as a doubt lasts. */
async function settles(nodes: Nodes, index: number): Promise<boolean> {
  const end = performance.now() + 25_000;
  while (performance.now() < end) {
    if (await isReady(nodes, index)) return true;
    await sleep(200);
  }
  return false;
}

function urlsOf(nodes: Nodes): string[] {
  return nodes.indices.map((index) => nodes.urlOf(index));
}

/** Publishes to bob, one after the other, as long as it takes. */
async function sendSeveral(urls: readonly string[], names: readonly string[]): Promise<WireMessage[]> {
  const random = new Random(1);
  const sent: WireMessage[] = [];
  for (const name of names) {
    const draft = { recipient: 'bob', content: name, idempotencyKey: name };
    sent.push(await publishUntilStored(urls, random, draft));
  }
  return sent;
}

async function contentsOn(nodes: Nodes, index: number): Promise<unknown[]> {
  return (await pullAll(nodes.urlOf(index), 'bob')).map(({ content }) => content);
}

/** Returns the gap that a device is told which comes back with a cursor. */
async function gapAt(url: string, cursor: string): Promise<unknown> {
  const device = await DeviceStream.open(url, 'recipient=bob', { lastEventId: cursor });
  await device.waitFor('ready');
  device.cut();
  return device.gap;
}

/** Has the content of node 0 go on as the next generation, as an operator does, with all nodes. */
async function comesBack(nodes: Nodes, kept: readonly string[], cursors: readonly string[]): Promise<void> {
  await Promise.all(nodes.startedIndices.map((index) => nodes.stop(index)));
  await nodes.command('reseed', '--yes', '--replicas', '1');
  await Promise.all(nodes.indices.map((index) => nodes.restart(index)));
  await sendSeveral(urlsOf(nodes), ['after']);
  await waitForEqualNodes(nodes);
  for (const index of nodes.indices) {
    expect(await contentsOn(nodes, index)).toEqual([...kept, 'after']);
    for (const cursor of cursors) expect(await gapAt(nodes.urlOf(index), cursor)).toBe(false);
  }
}

/** Copies the files of the only NATS server. Returns a function that puts the copy in their place. */
async function copyStore({ nats }: Nodes): Promise<() => Promise<void>> {
  const server = nats.server(0);
  await server.stop();
  const copy = `${server.storeFolder}-copy`;
  cpSync(server.storeFolder, copy, { recursive: true });
  await server.start();
  return async () => {
    await server.kill();
    rmSync(server.storeFolder, { recursive: true });
    cpSync(copy, server.storeFolder, { recursive: true });
    await server.start();
  };
}

interface Row {
  /** A fact about a cluster, and the steps that show it. */
  readonly fact: string;
  readonly run: () => Promise<void>;
}

async function expectNoneFollows(remake: (config: StreamConfig) => StreamConfig | undefined): Promise<void> {
  const nodes = await Nodes.start(2);
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  await sendSeveral([nodes.url], names);
  await waitForEqualNodes(nodes);
  const cursor = await headCursor(nodes.url);
  const connection = await connectTo(nodes);
  const name = `${nodes.prefix}-1`;
  const config = await streamConfig(connection, name);
  const { streams } = await jetstreamManager(connection, PATIENT);
  await streams.delete(name);
  const next = remake(config);
  if (next !== undefined) await streams.add(next);
  await expectAllStopped(nodes);
  await comesBack(nodes, names, [cursor]);
}

async function expectNoneFollowsCopyWithout(count: number): Promise<void> {
  const nodes = await Nodes.start(2);
  await sendSeveral(urlsOf(nodes), ['a', 'b']);
  await waitForEqualNodes(nodes);
  const restore = await copyStore(nodes);
  const lost = Array.from({ length: count }, (_, index) => `lost-${index}`);
  await sendSeveral(urlsOf(nodes), lost);
  await waitForEqualNodes(nodes);
  const cursor = await headCursor(nodes.url);
  await restore();
  // Clients go on: what they publish makes the stream as long as it was.
  let isEnding = false;
  const clients = nodes.indices.map(async (index) => {
    for (let number = 0; !isEnding; number++) {
      const content = `${index}-${number}`;
      const draft = { recipient: 'bob', content, idempotencyKey: content };
      if ((await within(5000, publish(nodes.urlOf(index), draft)))?.status !== 201) await sleep(100);
    }
  });
  try {
    await expectAllStopped(nodes);
  } finally {
    isEnding = true;
    await Promise.all(clients);
  }
  await comesBack(nodes, ['a', 'b', ...lost], [cursor]);
}

const ROWS: readonly Row[] = [
  {
    fact: 'a cluster acknowledges nothing after its stream was deleted, and goes on once it is reseeded',
    run: () => expectNoneFollows(() => undefined),
  },
  {
    fact: 'a cluster does not follow a stream that was made again with another id of the log',
    run: () =>
      expectNoneFollows((config) => ({
        ...config,
        metadata: { ...config.metadata, 'tidings-log': '0123456789abcdef' },
      })),
  },
  {
    fact: 'a cluster does not follow a stream that was made again as it was',
    run: () => expectNoneFollows((config) => config),
  },
  {
    fact: 'a cluster does not follow a stream that was restored from a copy without its last entry',
    run: () => expectNoneFollowsCopyWithout(1),
  },
  {
    fact: 'a cluster does not follow a stream that was restored from a copy without its last 40 entries',
    run: () => expectNoneFollowsCopyWithout(40),
  },
  {
    fact: 'a cluster does not follow a restored stream that others made longer; a reseed tells devices that had seen more',
    run: async () => {
      const nodes = await Nodes.start(2);
      await sendSeveral(urlsOf(nodes), ['a', 'b']);
      await waitForEqualNodes(nodes);
      const common = await headCursor(nodes.url);
      await nodes.stop(1);
      const restore = await copyStore(nodes);
      await sendSeveral([nodes.urlOf(0)], ['c', 'd']);
      const kept = await headCursor(nodes.urlOf(0));
      await nodes.stop(0);
      await restore();
      await nodes.restart(1);
      await sendSeveral([nodes.urlOf(1)], ['e', 'f', 'g', 'h']);
      const lost = await headCursor(nodes.urlOf(1));
      await nodes.restart(0).catch(() => undefined);
      const isFatal = (): boolean => nodes.lastWords(0).stderr.includes('"level":60');
      await until(isFatal, 'node 0 to say that it stops', NOTICE_MILLISECONDS);
      await expectStopped(nodes, 0);
      expect(await isReady(nodes, 1)).toBe(true);
      await comesBack(nodes, ['a', 'b', 'c', 'd'], [common, kept]);
      for (const index of nodes.indices) expect(await gapAt(nodes.urlOf(index), lost)).toBe('restored');
    },
  },
  {
    fact: 'no node serves a history with a hole after the stream was purged past it',
    run: async () => {
      const nodes = await Nodes.start(2);
      await sendSeveral(urlsOf(nodes), ['a', 'b']);
      await waitForEqualNodes(nodes);
      await nodes.stop(1);
      const names = ['c', 'd', 'e'];
      await sendSeveral([nodes.urlOf(0)], names);
      const connection = await connectTo(nodes);
      await (await jetstreamManager(connection, PATIENT)).streams.purge(`${nodes.prefix}-1`, { keep: 1 });
      await nodes.restart(1).catch(() => undefined);
      await sendSeveral([nodes.urlOf(0)], ['f', 'g']);
      expect(await isReady(nodes, 0)).toBe(true);
      if (await settles(nodes, 1)) {
        expect(await contentsOn(nodes, 1)).toEqual(await contentsOn(nodes, 0));
      } else {
        await expectStopped(nodes, 1);
      }
      await comesBack(nodes, ['a', 'b', ...names, 'f', 'g'], []);
    },
  },
  {
    fact: 'a cluster takes nothing from a stranger who publishes to its subject, and goes on',
    run: async () => {
      const nodes = await Nodes.start(2);
      await sendSeveral([nodes.url], ['a', 'b']);
      const connection = await connectTo(nodes);
      const stream = jetstream(connection, PATIENT);
      const name = `${nodes.prefix}-1`;
      const manager = await jetstreamManager(connection, PATIENT);
      const { state } = await manager.streams.info(name);
      const real: Uint8Array[] = [];
      for (let seq = 1; seq <= state.last_seq; seq++) {
        const stored = await manager.streams.getMessage(name, { seq });
        if (stored !== null) real.push(stored.data);
      }
      for (const bytes of strangeEntries(real)) await stream.publish(`${nodes.prefix}.1.entries`, bytes);
      const after = await sendSeveral([nodes.urlOf(1)], ['c', 'd']);
      await waitForEqualNodes(nodes);
      for (const index of nodes.indices) {
        expect(await contentsOn(nodes, index)).toEqual(['a', 'b', 'c', 'd']);
        expect(await isReady(nodes, index)).toBe(true);
      }
      expect(after.map(({ id }) => id)).toEqual([3, 4]);
    },
  },
  {
    fact: 'a node that computed another outcome for an entry than the others stops, and the others go on',
    run: async () => {
      const nodes = await Nodes.start(3);
      await sendSeveral([nodes.url], ['a', 'b']);
      await waitForEqualNodes(nodes);
      await nodes.stop(2);
      const database = new Sqlite(nodes.databaseOf(2));
      database.exec(`UPDATE messages SET content = '"x"' WHERE id = 2`);
      const digest = positionOf(nodes.databaseOf(2)).digest.replace(/^./, (first) =>
        first === '0' ? '1' : '0',
      );
      database.prepare('UPDATE position SET digest = ?').run(digest);
      database.close();
      await nodes.restart(2);
      // Nodes compare what they came to after each thousand entries.
      const stream = jetstream(await connectTo(nodes), PATIENT);
      const nothing = Array.from({ length: 1000 }, () => stream.publish(`${nodes.prefix}.1.entries`, ''));
      await Promise.all(nothing);
      await expectStopped(nodes, 2);
      expect(nodes.lastWords(2).stderr).toContain('"level":60');
      const others = [0, 1];
      await sendSeveral(
        others.map((index) => nodes.urlOf(index)),
        ['c'],
      );
      for (const index of others) expect(await isReady(nodes, index)).toBe(true);
      // Without a database it joins again.
      await nodes.stop(2);
      for (const end of ['', '-wal', '-shm']) rmSync(`${nodes.databaseOf(2)}${end}`, { force: true });
      await nodes.restart(2);
      await waitForEqualNodes(nodes);
      expect(await contentsOn(nodes, 2)).toEqual(['a', 'b', 'c']);
    },
  },
];

describeNats('a cluster', () => {
  afterAll(cleanUp, 60_000);

  // They wait for most of their time.
  const row = natsTest === test.skip ? test.skip : test.concurrent;
  for (const { fact, run } of ROWS) row(fact, run, TEST_MILLISECONDS);
});

/** Bytes that a stranger may publish: one who does not know the form of entries, or has copied some. */
function strangeEntries(real: readonly Uint8Array[]): Uint8Array[] {
  const text = (value: string): Uint8Array => new TextEncoder().encode(value);
  const last = real.at(-1) ?? new Uint8Array();
  const [v, logId, generation, proposer, counter] = JSON.parse(new TextDecoder().decode(last)) as unknown[];
  const header = (parts: readonly unknown[]): Uint8Array => text(JSON.stringify(parts));
  const bodies: unknown[] = [
    null,
    0,
    '',
    [],
    {},
    [[]],
    [[[]]],
    [null],
    { kind: 'append' },
    { kind: '__proto__' },
    { kind: 'purge' },
    { kind: 'purge', through: 'x' },
    { kind: 'push' },
    { kind: 'push', changes: 7 },
    { kind: 'epoch' },
    { kind: 'epoch', epoch: 1 },
    { kind: 'settings' },
    { kind: 'settings', retention: null },
    { kind: 'tick', surplus: [] },
    { kind: 'nothing-known' },
  ];
  return [
    new Uint8Array(),
    new Uint8Array([0, 255, 254]),
    text('hello'),
    text('null'),
    text('[]'),
    text('{}'),
    text('['.repeat(20_000)),
    new Uint8Array(100_000),
    ...real,
    last.slice(0, -1),
    last.slice(1),
    header([v, 'another', generation, proposer, counter, { kind: 'tick' }]),
    header([v, logId, 99, proposer, counter, { kind: 'tick' }]),
    header([v, logId, String(generation), 'p', 1, { kind: 'tick' }]),
    header([v, logId, generation, 'p', 'x', { kind: 'tick' }]),
    header([v, logId, generation, 'p', -1, { kind: 'tick' }]),
    header([v, logId, generation, 'p', 1.5, { kind: 'tick' }]),
    header([v, logId, generation, 'p', 2 ** 60, { kind: 'tick' }]),
    header([v, logId, generation, 7, 1, { kind: 'tick' }]),
    header([v, logId, generation, '', 1, { kind: 'tick' }]),
    header(['1', logId, generation, 'p', 1, { kind: 'tick' }]),
    header([-1, logId, generation, 'p', 1, { kind: 'tick' }]),
    header([0.5, logId, generation, 'p', 1, { kind: 'tick' }]),
    ...bodies.map((body, index) => header([v, logId, generation, `stranger-${index}`, 1, body])),
  ];
}
