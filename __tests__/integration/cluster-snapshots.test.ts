/** How a cluster begins with what one machine has, how nodes join it by snapshots, and how its stream is trimmed. */
import { afterAll, beforeAll, expect } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { send } from '../support/api.ts';
import { TestCluster } from '../support/cluster-command.ts';
import { positionOf, untilEqual } from '../support/position.ts';
import { describeNats, NatsServers, natsTest, PATIENT } from '../support/nats.ts';
import { pullAll } from '../support/pull.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

describeNats('a cluster', () => {
  let servers: NatsServers;
  let count = 0;
  beforeAll(async () => {
    servers = await NatsServers.start(1);
  });
  afterAll(cleanUp);

  const newCluster = (): TestCluster => new TestCluster(servers, `snap${++count}`);

  /** Trims a stream up to a sequence. */
  async function trim(cluster: TestCluster, generation: number, through: number): Promise<void> {
    const connection = await connect({ servers: servers.url });
    const manager = await jetstreamManager(connection, PATIENT);
    await manager.streams.purge(`${cluster.env['NATS_STREAM'] ?? ''}-${generation}`, { seq: through + 1 });
    await connection.close();
  }

  /** Publishes entries that are applied as nothing. */
  async function publishNothing(cluster: TestCluster, entries: number): Promise<void> {
    const connection = await connect({ servers: servers.url });
    const subject = `${cluster.env['NATS_STREAM'] ?? ''}.1.entries`;
    for (let entry = 0; entry < entries; entry++) connection.publish(subject, 'no entry');
    await connection.drain();
  }

  async function bucketsOf(cluster: TestCluster): Promise<string[]> {
    const connection = await connect({ servers: servers.url });
    const manager = await jetstreamManager(connection, PATIENT);
    const names: string[] = [];
    for await (const name of manager.streams.names()) names.push(name);
    await connection.close();
    return names.filter((name) => name.startsWith(`OBJ_${cluster.env['NATS_STREAM'] ?? ''}-snapshot-`));
  }

  natsTest(
    'a cluster begins with the database of one machine, whose cursors and keys stay good, and other nodes join it',
    async () => {
      const cluster = newCluster();
      const alone = await Server.start({ env: { RETENTION_DAYS: '77' } });
      const { database } = alone;
      const kept = await send(alone.url, 'bob', 'kept');
      const device = await DeviceStream.open(alone.url, 'recipient=bob', { lastEventId: '0' });
      await device.waitForMessages(1);
      const cursor = device.cursor ?? '';
      device.cut();
      const busy = await cluster.command(['init', '--replicas', '1'], database);
      expect([busy.code, busy.stderr]).toEqual([1, expect.stringMatching(/held by another Tidings process/)]);
      const key = await (await fetch(`${alone.url}/push-key`)).text();
      expect((await alone.stop()).code).toBe(0);
      const { logId } = positionOf(database);

      expect(await cluster.done(['init', '--replicas', '1'], database)).toContain(logId);
      expect(await cluster.done(['init', '--replicas', '1'], database)).toContain('nothing was changed');
      expect(positionOf(database)).toMatchObject({ logId, generation: 1, sequence: 0, head: 1 });
      expect(readdirSync(dirname(database)).filter((name) => name.endsWith('-snapshot'))).toEqual([]);
      const first = await cluster.node({ database });
      const second = await cluster.node();
      expect(await (await fetch(`${second.url}/push-key`)).text()).toBe(key);
      const added = await send(second.url, 'bob', 'added');
      expect(added.id).toBe(2);
      for (const { url } of [first, second]) {
        await until(async () => (await pullAll(url, 'bob')).length === 2, 'both messages');
        const again = await DeviceStream.open(url, 'recipient=bob', { lastEventId: cursor });
        await again.waitFor('live');
        expect([again.gap, again.messages]).toEqual([false, [added]]);
        expect(await pullAll(url, 'bob')).toEqual([kept, added]);
        again.cut();
      }
      await untilEqual([first.database, second.database]);
      for (const node of [first, second]) expect((await node.stop()).code).toBe(0);
    },
  );

  natsTest(
    'a node joins a cluster by a snapshot, also if its own position is no longer in the stream',
    async () => {
      const cluster = newCluster();
      await cluster.done(['init', '--replicas', '1']);
      const [first, late] = [await cluster.node(), await cluster.node()];
      const messages = [await send(first.url, 'bob', 0)];
      await until(async () => (await pullAll(late.url, 'bob')).length === 1, 'the message on both nodes');
      expect((await late.stop()).code).toBe(0);
      for (let content = 1; content < 5; content++) messages.push(await send(first.url, 'bob', content));

      const without = positionOf(late.database).sequence ?? 0;
      await trim(cluster, 1, without + 2);
      const stuck = await Server.run(cluster.options({}));
      expect([stuck.code, stuck.stderr]).toEqual([
        1,
        expect.stringMatching(/no snapshot reaches that far.*cluster snapshot/),
      ]);
      expect(await cluster.done(['snapshot'], first.database)).toContain('was made of entry');
      messages.push(await send(first.url, 'bob', 'after'));

      const fresh = await cluster.node();
      const rejoined = await cluster.node({ database: late.database });
      for (const { url } of [fresh, rejoined]) {
        await until(async () => (await pullAll(url, 'bob')).length === messages.length, 'all messages');
        expect(await pullAll(url, 'bob')).toEqual(messages);
      }
      expect(rejoined.stderr).toMatch(
        new RegExp(
          `has applied ${without} entries, and the stream begins at ${without + 3}.*joins by the newest snapshot`,
        ),
      );
      await untilEqual([first, fresh, rejoined].map(({ database }) => database));
      for (const node of [first, fresh, rejoined]) expect((await node.stop()).code).toBe(0);
      for (const { database } of [fresh, rejoined]) {
        expect(
          readdirSync(dirname(database)).filter((name) => /joining|before|snapshot$/.test(name)),
        ).toEqual([]);
      }
    },
  );

  natsTest('a cluster keeps two snapshots, and its status shows them and its nodes', async () => {
    const cluster = newCluster();
    await cluster.done(['init', '--replicas', '1']);
    const first = await cluster.done(['status']);
    expect(first).toMatch(/^lease +nobody\nnode +none was heard$/m);
    expect(first).toMatch(/^stream .*, [\d.]+ (bytes|[KM]iB), 1 copy/m);
    expect(first).toMatch(/^flushes +unknown \(NATS_MONITOR_URL is not set\)$/m);
    const node = await cluster.node({ env: { NODE_NAME: 'named' } });
    for (let round = 0; round < 3; round++) {
      await send(node.url, 'bob', round);
      await cluster.done(['snapshot'], node.database);
    }
    const status = JSON.parse(await cluster.done(['status', '--json'])) as {
      snapshots: { id: string; head: number }[];
      nodes: object[];
      lease: string;
    };
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    const some = expect.any(Number) as unknown;
    const shown = { name: 'named', version, generation: 1, position: some, lag: some, unready: null };
    expect(status.nodes).toEqual([
      {
        ...shown,
        id: expect.any(String) as unknown,
        digest: null,
        divergedAt: null,
        retention: { days: 0, messages: 0 },
      },
    ]);
    expect(status.lease).toBe('named');
    expect(status.snapshots.map(({ head }) => head)).toEqual([3, 2]);
    expect((await bucketsOf(cluster)).map((name) => name.split('-').at(-1)).sort()).toEqual(
      status.snapshots.map(({ id }) => id).sort(),
    );
    expect(await cluster.done(['status'])).toMatch(
      /^log +[0-9a-f]{16}\ngeneration 1\nstream .*entries 1 to \d+/,
    );
    await publishNothing(cluster, 1000);
    const digest = /^node +named: entry 1\d{3}, digest after 1000 [0-9a-f]{32}, lag \d+, ready, version /m;
    await until(async () => digest.test(await cluster.done(['status'])), 'the digest');
  });

  natsTest('makes no snapshot of a database of another log', async () => {
    const cluster = newCluster();
    await cluster.done(['init', '--replicas', '1']);
    const alone = await Server.start();
    expect((await alone.stop()).code).toBe(0);
    const refused = await cluster.command(['snapshot'], alone.database);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/is not a replica of generation 1 of the log/),
    ]);
    expect(await bucketsOf(cluster)).toEqual([]);
  });
});
