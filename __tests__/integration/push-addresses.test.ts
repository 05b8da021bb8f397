import { afterEach, expect } from '@jest/globals';
import { send } from '../support/api.ts';
import { PushDevice } from '../support/push-device.ts';
import { answering, PUBLIC_ADDRESSES, PushNetwork, pushTest } from '../support/push-network.ts';
import { dealtWith, outcomes } from '../support/push-state.ts';
import { cleanUp } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

/** Addresses that are no push service's; each is this machine's within the network, and would answer. */
const INSIDE = [
  '127.0.0.1',
  '127.1.2.3',
  '0.0.0.0',
  '10.0.0.1',
  '100.64.0.1',
  '169.254.169.254',
  '192.0.2.1',
  '198.18.0.1',
  '::1',
  '::',
  '::ffff:127.0.0.1',
  '::ffff:10.0.0.1',
  'fd00::1',
  'fec0::1',
  '64:ff9b::b16:212c',
  '2002:b16:212c::1',
  '2001:db8::1',
];

pushTest('no connection is made to a name that leads inside the network, whatever the address', async () => {
  const network = await PushNetwork.start();
  const hosts = INSIDE.map((_, index) => `n${index}.below.example.org`);
  network.setHosts({
    'push.example.org': PUBLIC_ADDRESSES,
    ...Object.fromEntries(hosts.map((host, index) => [host, [INSIDE[index] ?? '']])),
  });
  await network.startServer();
  for (const host of hosts) await network.subscribe('bob', { device: new PushDevice(host) });
  const phone = await network.subscribe('bob');
  await send(network.url, 'bob', 'hi');
  await outcomes(network.url, 'failed', INSIDE.length);
  await network.waitFor(phone, 1);
  expect(network.insideConnections).toBe(0);
  expect(network.pushed).toHaveLength(1);
});

pushTest('a name with public and other addresses is connected to at the public ones', async () => {
  const network = await PushNetwork.start();
  network.setHosts({ 'push.example.org': ['10.0.0.1', '::1', ...PUBLIC_ADDRESSES, '127.0.0.1'] });
  const server = await network.startServer();
  await network.subscribe('bob');
  const sent = await send(network.url, 'bob', 'hi');
  await dealtWith(server.database, 'bob', sent.id);
  expect([network.connections, network.insideConnections]).toEqual([1, 0]);
});

pushTest(
  'a name is looked up again for each connection, so that it cannot come to mean another address (DNS rebinding)',
  async () => {
    const network = await PushNetwork.start();
    const server = await network.startServer();
    await network.subscribe('bob');
    network.answers.set('push.example.org', answering(201, { Connection: 'close' }));
    const first = await send(network.url, 'bob', 'one');
    await dealtWith(server.database, 'bob', first.id);
    network.setHosts({ 'push.example.org': ['127.0.0.1'] });
    await send(network.url, 'bob', 'two');
    await outcomes(network.url, 'failed', 1);
    expect([network.connections, network.insideConnections]).toEqual([1, 0]);
  },
);

pushTest(
  'a push service without a trusted certificate, or with one of another name, is told nothing',
  async () => {
    const network = await PushNetwork.start();
    const unknown = await network.startServer({ NODE_EXTRA_CA_CERTS: '' });
    await network.subscribe('bob');
    await send(network.url, 'bob', 'one');
    await outcomes(network.url, 'failed', 1);
    expect([network.connections, network.pushed.length]).toEqual([1, 0]);
    await unknown.kill();

    network.setHosts({ 'of.another.example.org': PUBLIC_ADDRESSES, 'push.example.org': PUBLIC_ADDRESSES });
    const server = await network.startServer({ PUSH_HOSTS: 'push.example.org *.another.example.org' });
    await dealtWith(server.database, 'bob', 1);
    await network.subscribe('bob', { device: new PushDevice('of.another.example.org') });
    await send(network.url, 'bob', 'two');
    await outcomes(network.url, 'failed', 1);
    expect(new Set(network.pushed.map(({ host }) => host))).toEqual(new Set(['push.example.org']));
  },
);

pushTest('no connection is made to an endpoint whose host was removed from PUSH_HOSTS', async () => {
  const network = await PushNetwork.start();
  const before = await network.startServer();
  const left = await network.subscribe('bob');
  await network.subscribe('bob', { device: new PushDevice('other.example.org') });
  await before.stop();
  const server = await network.startServer({ PUSH_HOSTS: 'push.example.org' });
  const sent = await send(network.url, 'bob', 'hi');
  await dealtWith(server.database, 'bob', sent.id);
  expect(network.pushed.map((one) => left.isOf(one))).toEqual([true]);
  await until(() => server.stderr.includes('is not in PUSH_HOSTS'), 'its line in the log');
});
