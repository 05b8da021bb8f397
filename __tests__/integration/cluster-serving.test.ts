/** Nodes of a cluster over real NATS servers that stand still, or are gone, while clients publish and listen. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect } from '@jest/globals';
import { type Answer, publish, request, send } from '../support/api.ts';
import { NatsServers, natsTest, PATIENT } from '../support/nats.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

/** Starts a NATS server with the beginning of a log, and nodes that share it. */
async function startNodes(count: number): Promise<{ nats: NatsServers; nodes: Server[] }> {
  const nats = await NatsServers.start(1);
  const env = { NATS_URL: nats.url };
  const { code, stderr } = await Server.run({ args: ['cluster', 'init', '--replicas', '1'], env });
  if (code !== 0) throw new Error(stderr);
  const nodes = await Promise.all(Array.from({ length: count }, () => Server.start({ env })));
  return { nats, nodes };
}

/** One node, with a message and a device that has it. */
async function startWithDevice(): Promise<{ nats: NatsServers; node: Server; device: DeviceStream }> {
  const { nats, nodes } = await startNodes(1);
  const [node] = nodes as [Server];
  await send(node.url, 'bob', 'before');
  const device = await DeviceStream.open(node.url, 'recipient=bob');
  await device.waitFor('live');
  return { nats, node, device };
}

natsTest(
  'a publish that is sent to several nodes while NATS stands still for some seconds is stored once',
  async () => {
    const { nats, nodes } = await startNodes(2);
    const [one, other] = nodes as [Server, Server];
    await send(one.url, 'bob', 'before');
    nats.pause(0);
    const message = { recipient: 'bob', content: 'once', idempotencyKey: 'k' };
    const publishes = [one, other, one].map((node) => publish(node.url, message));
    // Longer than NATS waits for a confirmation, so that it is sent again.
    await sleep(6000);
    nats.resume(0);
    const answers = await Promise.all(publishes);
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 200, 201]);
    const stored = await request(`${other.url}/messages?recipient=bob&after=0`);
    expect(stored).toMatchObject({ body: { messages: [{ content: 'before' }, { content: 'once' }] } });
  },
);

natsTest(
  'a node whose NATS stands still ends in time, and says that a publish may have been stored',
  async () => {
    const { nats, node, device } = await startWithDevice();
    nats.pause(0);
    const message = { recipient: 'bob', content: 'late', idempotencyKey: 'k' };
    let answers: Answer[] = [];
    const publishes = Promise.all([
      publish(node.url, message),
      publish(node.url, { recipient: 'bob', content: 'next' }),
      publish(node.url, { recipient: 'bob', content: 'and another' }),
    ]).then((all) => (answers = all));
    await sleep(500);
    const ended = await node.stop();
    // Longer than its own limit, it would have ended with 1.
    expect([ended.code, ended.signal]).toEqual([0, null]);
    await publishes;
    expect(answers).toHaveLength(3);
    expect(answers[0]).toMatchObject({ status: 503, body: { stored: 'unknown' } });
    for (const answer of answers.slice(1)) expect(answer).toMatchObject({ status: 503 });
    expect(device.find('bye')?.data).toMatchObject({ reason: 'shutdown' });
    nats.resume(0);
    const again = await Server.start({ database: node.database, env: { NATS_URL: nats.url } });
    const repeated = await publish(again.url, message);
    expect([200, 201]).toContain(repeated.status);
    const pulled = await request(`${again.url}/messages?recipient=bob&after=0`);
    const { messages } = pulled.body as { messages: { content: string }[] };
    expect(messages.filter(({ content }) => content === 'late')).toHaveLength(1);
  },
);

natsTest('a node that ends while NATS is gone ends in time', async () => {
  const { nats, nodes } = await startNodes(1);
  const [node] = nodes as [Server];
  await send(node.url, 'bob', 'before');
  await nats.kill(0);
  const late = publish(node.url, { recipient: 'bob', content: 'late', idempotencyKey: 'k' });
  await sleep(200);
  expect((await node.stop()).code).toBe(0);
  expect(await late).toMatchObject({ status: 503, body: { stored: 'unknown' } });
});

natsTest(
  'a node of three that ends answers all publishes under way, and its devices notice only a reconnect',
  async () => {
    const { nats, nodes } = await startNodes(3);
    const [one, two, three] = nodes as [Server, Server, Server];
    const device = await DeviceStream.open(two.url, 'recipient=bob');
    const socket = await SocketDevice.open(two.url, 'recipient=bob');
    const steady = await DeviceStream.open(three.url, 'recipient=bob');
    await Promise.all([device.waitFor('live'), steady.waitFor('live')]);
    const put = (node: Server, index: number): Promise<Answer> =>
      publish(node.url, { recipient: 'bob', content: index, idempotencyKey: `k${index}` });
    for (let index = 0; index < 10; index++) expect((await put(two, index)).status).toBe(201);
    // Under way when the signal comes.
    nats.pause(0);
    const underWay = Array.from({ length: 20 }, (_, index) => put(two, 10 + index));
    await sleep(1000);
    const ending = two.stop();
    nats.resume(0);
    expect((await ending).code).toBe(0);
    // On a slow machine the node may end before NATS has confirmed all of them.
    for (const { status } of await Promise.all(underWay)) expect([201, 503]).toContain(status);
    for (let index = 10; index < 30; index++) expect([200, 201]).toContain((await put(one, index)).status);
    expect(device.find('bye')?.data).toMatchObject({ reason: 'shutdown' });
    await until(() => socket.close !== undefined, 'the close');
    expect(socket.close).toEqual({ code: 1001, reason: 'shutdown' });
    const back = await DeviceStream.open(one.url, 'recipient=bob', { lastEventId: device.cursor ?? '' });
    await back.waitFor('live');
    await until(() => device.messages.length + back.messages.length >= 30, 'all messages');
    await steady.waitForMessages(30);
    expect(back.gap).toBe(false);
    expect([...device.ids, ...back.ids]).toEqual(steady.ids);
    expect(new Set(steady.messages.map(({ content }) => content)).size).toBe(30);
    expect(steady.find('bye')).toBeUndefined();
    for (const stream of [back, steady]) stream.cut();
  },
);

natsTest('nodes whose stream was removed stay up, are not ready, and serve nobody', async () => {
  const { nats, node, device } = await startWithDevice();
  const { connect } = await import('@nats-io/transport-node');
  const { jetstreamManager } = await import('@nats-io/jetstream');
  const connection = await connect({ servers: nats.url });
  await (await jetstreamManager(connection, PATIENT)).streams.delete('tidings-1');
  await connection.close();
  expect((await device.waitFor('bye')).data).toMatchObject({ reason: 'disconnected' });
  expect((await request(`${node.url}/healthz`)).status).toBe(200);
  for (let count = 0; count < 3; count++) {
    expect((await request(`${node.url}/readyz`)).status).toBe(503);
    expect((await request(`${node.url}/messages?recipient=bob&after=0`)).status).toBe(503);
    expect((await publish(node.url, { recipient: 'bob', content: 'hi' })).status).toBe(503);
  }
  await until(() => node.stderr.includes('the service is not ready'), 'the line in the log');
  expect(node.stderr.match(/the service is not ready/g)).toHaveLength(1);
  expect(node.stderr).not.toContain('a request could not be served');
  expect(node.stdout + node.stderr).toContain('cluster reseed');
  expect((await node.stop()).code).toBe(0);
});
