/** Nodes of a cluster, each a process, and what they know of each other. */
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { get, publish, request, send } from '../support/api.ts';
import { scrape } from '../support/exposition.ts';
import { withDatabase } from '../support/file.ts';
import { describeNats, NatsServers, natsTest } from '../support/nats.ts';
import { expectProblem } from '../support/problems.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { bearer, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

interface NodeView {
  readonly id: string;
  readonly name: string;
  readonly ready: boolean;
  readonly why: string | null;
  readonly position: number;
  readonly lag: number | null;
  readonly connections: number;
  readonly divergedAt: number | null;
}

interface View {
  readonly lease: { readonly id: string; readonly name: string } | null;
  readonly node: string;
  readonly nodes: readonly NodeView[];
  readonly log: { readonly logId: string; readonly generation: number; readonly last: number };
}

let nats: NatsServers;

async function newCluster(prefix: string): Promise<void> {
  const env = { NATS_URL: nats.url, NATS_STREAM: prefix };
  expect((await Server.run({ env, args: ['cluster', 'init', '--replicas', '1'], tap: false })).code).toBe(0);
}

function startNode(
  prefix: string,
  name: string,
  options: { database?: string; env?: object } = {},
): Promise<Server> {
  const env = { NATS_URL: nats.url, NATS_STREAM: prefix, NODE_NAME: name, ...options.env };
  return Server.start(options.database === undefined ? { env } : { env, database: options.database });
}

const viewOf = async ({ url }: Server, headers = {}): Promise<View> =>
  (await request(`${url}/cluster`, { headers })).body as View;

/** Waits until each node sees all of them, and takes publishes. */
async function untilJoined(nodes: readonly Server[], headers = {}): Promise<void> {
  for (const node of nodes) {
    await until(async () => {
      const { nodes: seen } = await viewOf(node, headers);
      return seen.length === nodes.length && seen.every(({ ready }) => ready);
    }, 'all nodes to be there');
  }
}

describeNats('nodes of a cluster', () => {
  beforeAll(async () => {
    nats = await NatsServers.start(1);
  });
  afterAll(cleanUp);

  natsTest('cluster init refuses to keep three copies of a log on one server, and says so', async () => {
    const env = { NATS_URL: nats.url, NATS_STREAM: 'copies' };
    const ended = await Server.run({ env, args: ['cluster', 'init'], tap: false });
    expect([ended.code, ended.stderr]).toEqual([1, expect.stringContaining('with --replicas 1.')]);
  });

  natsTest('a node does not start if nobody has run cluster init', async () => {
    const ended = await Server.run({ env: { NATS_URL: nats.url, NATS_STREAM: 'nobody' } });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(
      'NATS has no bucket nobody, so no record of a log. For a new cluster run `cluster init` once',
    );
  });

  natsTest('nodes share presence and ephemeral messages, and list each other, until one dies', async () => {
    await newCluster('peers');
    const [one, two] = await Promise.all([startNode('peers', 'one'), startNode('peers', 'two')]);
    await untilJoined([one, two]);
    const watcher = await DeviceStream.open(one.url, 'recipient=ann&presence=bob');
    await watcher.waitFor('live');
    const bob = await DeviceStream.open(two.url, 'recipient=bob');
    await bob.waitFor('live');
    const online = async (): Promise<boolean> =>
      ((await get(one.url, '/presence?recipient=bob')).body as { bob: { online: boolean } }).bob.online;
    await until(online, 'bob to be online on the other node');
    const told = (): boolean[] =>
      watcher.events
        .filter(({ event }) => event === 'presence')
        .map(({ data }) => (data as { online: boolean }).online);
    await until(() => told().includes(true), 'the watcher to be told');

    const typing = { recipient: 'bob', sender: 'ann', type: 'typing', ephemeral: true };
    for (let index = 0; index < 20; index++) {
      expect((await publish(one.url, { ...typing, content: index })).body).toEqual({ devices: 2 });
    }
    await bob.waitForMessages(20);
    expect(bob.messages.map(({ content }) => content)).toEqual(
      Array.from({ length: 20 }, (_, index) => index),
    );

    await send(one.url, 'ann', 1);
    const view = await viewOf(two);
    expect(view.nodes.map(({ name }) => name)).toEqual(['one', 'two']);
    expect(view.log).toMatchObject({
      generation: 1,
      logId: expect.stringMatching(/^[0-9a-f]{16}$/) as unknown,
    });
    expect(view.nodes.find(({ id }) => id === view.node)?.name).toBe('two');
    await until(async () =>
      (await viewOf(one)).nodes.every(({ lag, connections }) => lag === 0 && connections === 1),
    );
    await until(async () => {
      const { lease, nodes } = await viewOf(one);
      return nodes.some(({ id, name }) => id === lease?.id && name === lease.name);
    }, 'one of them to hold the lease');
    const metrics = await scrape(one.url);
    expect(metrics.value('tidings_cluster_nodes')).toBe(2);
    expect(metrics.value('tidings_cluster_lag_entries')).toBe(0);
    expect(metrics.value('tidings_cluster_hears')).toBe(1);

    await two.kill();
    await until(async () => (await viewOf(one)).nodes.length === 1, 'the killed node to be gone');
    await until(async () => !(await online()), 'its devices to be offline');
    await until(() => told().at(-1) === false, 'the watcher to be told');
    expect((await publish(one.url, { ...typing, content: 'last' })).body).toEqual({ devices: 1 });
    bob.cut();
    watcher.cut();
  });

  natsTest(
    'a node whose state was changed by hand stops at the next thousandth entry, and the others go on',
    async () => {
      await newCluster('fork');
      const names = ['one', 'two', 'three'];
      const nodes = await Promise.all(names.map((name) => startNode('fork', name)));
      const [one, two, three] = nodes as [Server, Server, Server];
      await untilJoined(nodes);
      const key = { idempotencyKey: 'k' };
      const first = await send(one.url, 'bob', 'once', key);
      await until(async () => (await get(three.url, `/messages/${first.id}`)).status === 200);
      await three.stop();
      withDatabase(three.database, (file) => file.exec(`DELETE FROM messages WHERE id = ${first.id}`));
      const again = await startNode('fork', 'three', { database: three.database });
      await untilJoined([one, two, again]);
      // The others find the first message by its key.
      expect((await publish(one.url, { recipient: 'bob', content: 'once', ...key })).status).toBe(200);
      const connection = await connect({ servers: nats.url });
      for (let entry = 0; entry < 1000; entry++) connection.publish('fork.1.entries', 'no entry');
      await connection.drain();
      const said = 'this node has a different state from most';
      await until(() => again.stderr.includes(said), 'the node to stop');
      expect((await get(again.url, '/readyz')).status).toBe(503);
      const refused = await publish(again.url, { recipient: 'bob', content: 'no' });
      expectProblem(refused, 503, []);
      expect(JSON.stringify(refused.body)).toContain('this node has stopped following the others');
      await until(async () => {
        const { nodes: seen } = await viewOf(one);
        return seen.some(
          ({ name, divergedAt, ready, why }) =>
            name === 'three' && divergedAt === 1000 && !ready && why?.includes('stopped following') === true,
        );
      }, 'the others to see it');
      for (const node of [one, two]) {
        expect((await get(node.url, '/readyz')).status).toBe(200);
        expect((await publish(node.url, { recipient: 'bob', content: 'yes' })).status).toBe(201);
      }
    },
  );

  natsTest('GET /cluster needs the grant metrics, and a single node does not have this path', async () => {
    await newCluster('grants');
    const node = await startNode('grants', 'one', { env: { AUTH_SECRET: SECRET } });
    expectProblem(await get(node.url, '/cluster'), 401);
    expectProblem(await request(`${node.url}/cluster`, { headers: bearer(await tokenFor('ann')) }), 403);
    const headers = bearer(await tokenFor('ann', { metrics: true }));
    expect((await viewOf(node, headers)).nodes).toHaveLength(1);
    expectProblem(await request(`${node.url}/cluster?x=1`, { headers }), 400, ['/x']);
    const posted = await request(`${node.url}/cluster`, { method: 'POST', headers });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    const alone = await Server.start();
    for (const path of ['/cluster', '/clusters']) expectProblem(await get(alone.url, path), 404);
  });
});
