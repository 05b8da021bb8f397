/** How a log goes on after NATS has lost its stream or nodes disagree, and how a database leaves a cluster. */
import { afterAll, beforeAll, expect } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { send } from '../support/api.ts';
import { TestCluster } from '../support/cluster-command.ts';
import { positionOf, untilEqual } from '../support/position.ts';
import { describeNats, NatsServers, natsTest, PATIENT } from '../support/nats.ts';
import { pullAll } from '../support/pull.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

/** Reads the newest cursor of a device. */
async function cursorOf(url: string): Promise<string> {
  const device = await DeviceStream.open(url, 'recipient=bob', { lastEventId: '0' });
  await device.waitFor('live');
  const { cursor = '' } = device;
  device.cut();
  return cursor;
}

/** Returns the gap that a device is told which comes back with a cursor. */
async function gapAt(url: string, cursor: string): Promise<unknown> {
  const device = await DeviceStream.open(url, 'recipient=bob', { lastEventId: cursor });
  await device.waitFor('live');
  device.cut();
  return device.gap;
}

/**
 * Starts and stops nodes until they have ended at the same position. Each proposes a tick every two seconds, which another
 * one may apply or not before it ends.
 */
async function stopAtSamePosition(cluster: TestCluster, databases: readonly string[]): Promise<void> {
  const positions = (): Set<string> => new Set(databases.map((file) => JSON.stringify(positionOf(file))));
  do {
    const nodes = await Promise.all(databases.map((database) => cluster.node({ database })));
    const ended = await Promise.all(nodes.map((node) => node.stop()));
    for (const { code } of ended) expect(code).toBe(0);
  } while (positions().size > 1);
}

const keyOf = async (url: string): Promise<string> => (await fetch(`${url}/push-key`)).text();

describeNats('a log', () => {
  let servers: NatsServers;
  beforeAll(async () => {
    servers = await NatsServers.start(1);
  });
  afterAll(cleanUp);

  natsTest('a reseed continues the log with the named database, and other nodes join again', async () => {
    const cluster = new TestCluster(servers, 'reseed');
    await cluster.done(['init', '--replicas', '1']);
    const [ahead, named, same] = [await cluster.node(), await cluster.node(), await cluster.node()];
    const kept = await send(ahead.url, 'bob', 'kept');
    for (const { url } of [named, same]) {
      await until(async () => (await pullAll(url, 'bob')).length === 1, 'the message on all nodes');
    }
    const seen = await cursorOf(named.url);
    for (const node of [named, same]) expect((await node.stop()).code).toBe(0);
    await stopAtSamePosition(cluster, [named.database, same.database]);
    await send(ahead.url, 'bob', 'lost');
    const seenMore = await cursorOf(ahead.url);
    const busy = await cluster.command(['reseed', '--yes'], ahead.database);
    expect([busy.code, busy.stderr]).toEqual([1, expect.stringMatching(/held by another Tidings process/)]);
    expect((await ahead.stop()).code).toBe(0);
    const before = positionOf(named.database);
    const connection = await connect({ servers: servers.url });
    await (await jetstreamManager(connection, PATIENT)).streams.delete('reseed-1');
    await connection.close();

    const shown = await cluster.done(['reseed'], named.database);
    expect(shown).toMatch(
      new RegExp(`NATS has lost it.*database +entry \\d+, message 1, digest ${before.digest}`, 's'),
    );
    expect(positionOf(named.database)).toEqual(before);
    expect(await cluster.done(['reseed', '--yes'], named.database)).toContain('reseed-2');
    expect(await cluster.done(['reseed', '--yes'], named.database)).toContain('nothing was changed');
    const other = await cluster.command(['reseed', '--yes'], ahead.database);
    expect([other.code, other.stderr]).toEqual([1, expect.stringMatching(/has generation 1 of the log/)]);

    const nodes = await Promise.all([named, same, ahead].map(({ database }) => cluster.node({ database })));
    // A node that listens may have said it on another pipe than the one that was read.
    const goneOn = ({ stderr }: Server): boolean => stderr.includes('in a new generation of the log');
    await until(() => nodes.slice(0, 2).every(goneOn), 'the lines of those that go on');
    expect(nodes.map(goneOn)).toEqual([true, true, false]);
    const added = await send(nodes[0]?.url ?? '', 'bob', 'added');
    expect(added.id).toBe(2);
    for (const { url } of nodes) {
      await until(async () => (await pullAll(url, 'bob')).length === 2, 'both messages');
      expect(await pullAll(url, 'bob')).toEqual([kept, added]);
      expect([await gapAt(url, seen), await gapAt(url, seenMore)]).toEqual([false, 'restored']);
    }
    await untilEqual(nodes.map(({ database }) => database));
    for (const node of nodes) expect((await node.stop()).code).toBe(0);
    expect(positionOf(named.database).generation).toBe(2);
    const [kept1, kept2, kept3] = nodes.map(
      ({ database }) => readdirSync(dirname(database)).filter((name) => name.includes('-before-')).length,
    );
    expect([kept1, kept2, kept3]).toEqual([0, 0, 1]);
  });

  natsTest(
    'a database that is started without NATS begins another log, with which a new cluster can begin',
    async () => {
      const cluster = new TestCluster(servers, 'left');
      await cluster.done(['init', '--replicas', '1']);
      const node = await cluster.node();
      const kept = await send(node.url, 'bob', 'kept');
      const cursor = await cursorOf(node.url);
      const key = await keyOf(node.url);
      expect((await node.stop()).code).toBe(0);
      const { database } = node;
      const { logId } = positionOf(database);
      const other = new TestCluster(servers, 'joined');
      const early = await other.command(['init', '--replicas', '1'], database);
      expect([early.code, early.stderr]).toEqual([
        1,
        expect.stringMatching(/Start it once without NATS_URL/),
      ]);

      const alone = await Server.start({ database });
      expect(await keyOf(alone.url)).toBe(key);
      const added = await send(alone.url, 'bob', 'added');
      expect(await gapAt(alone.url, cursor)).toBe(false);
      expect((await alone.stop()).code).toBe(0);
      expect(positionOf(database).logId).not.toBe(logId);
      const refused = await Server.run(cluster.options({ database }));
      expect([refused.code, refused.stderr]).toEqual([
        1,
        expect.stringMatching(/the cluster has [0-9a-f]{16}\./),
      ]);
      const taken = await cluster.command(['init', '--replicas', '1'], database);
      expect([taken.code, taken.stderr]).toEqual([
        1,
        expect.stringMatching(/set NATS_STREAM to another name/),
      ]);

      await other.done(['init', '--replicas', '1'], database);
      const [again, joined] = [await other.node({ database }), await other.node()];
      for (const { url } of [again, joined]) {
        expect(await keyOf(url)).toBe(key);
        expect(await pullAll(url, 'bob')).toEqual([kept, added]);
        expect(await gapAt(url, cursor)).toBe(false);
      }
      for (const each of [again, joined]) expect((await each.stop()).code).toBe(0);
    },
  );
});
