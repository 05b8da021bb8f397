import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, expect, test } from '@jest/globals';
import { connectNats } from '../../src/cluster/connection.ts';
import { freePorts } from '../support/free-ports.ts';
import { NatsServers, natsTest } from '../support/nats.ts';
import { overTls } from '../support/nats-sign-in.ts';
import { closeLinks, KeptLog, linkTo, natsConfigOf } from '../support/nats-link.ts';
import { cleanUp, newFolder } from '../support/server.ts';
import { until } from '../support/until.ts';

const DIST = join(import.meta.dirname, '../../dist');

const MEBIBYTE = 1024 * 1024;

afterEach(async () => {
  await closeLinks();
  await cleanUp();
});
afterAll(cleanUp);

natsTest('a node connects to another server if one is down at its start', async () => {
  const [port = 0] = await freePorts(1);
  const { url } = await NatsServers.start(1);
  const link = await linkTo({ NATS_URL: `nats://127.0.0.1:${port},${url}` });
  expect(link.isConnected).toBe(true);
  expect(url).toContain(link.connection.getServer());
});

natsTest('a node connects again to a server that comes back, and logs each loss and return', async () => {
  const servers = await NatsServers.start(1);
  const log = new KeptLog();
  const link = await linkTo({ NATS_URL: servers.url }, log);
  const heard: string[] = [];
  link.connection.subscribe('news', { callback: (_error, message) => void heard.push(message.string()) });
  for (const round of [1, 2]) {
    await servers.kill(0);
    await until(() => !link.isConnected);
    await servers.restart(0);
    await until(() => link.isConnected);
    link.connection.publish('news', `${round}`);
    await until(() => heard.includes(`${round}`));
    expect(log.count('NATS was lost')).toBe(round);
    expect(log.count('connected to NATS again')).toBe(round);
  }
  expect(log.bad.map(({ msg }) => msg)).toEqual([
    'NATS was lost: trying its servers until one answers',
    'NATS was lost: trying its servers until one answers',
  ]);
  expect(heard).toEqual(['1', '2']);
});

natsTest('a node gives up a server that stands still, and connects to another one', async () => {
  const servers = await NatsServers.start(3);
  const log = new KeptLog();
  const link = await linkTo({ NATS_URL: servers.url }, log);
  const first = servers.servers.findIndex(({ url }) => url.endsWith(link.connection.getServer()));
  servers.pause(first);
  await until(() => log.count('connected to NATS again') === 1);
  expect(link.isConnected).toBe(true);
  expect(servers.servers.findIndex(({ url }) => url.endsWith(link.connection.getServer()))).not.toBe(first);
  expect(log.bad).toEqual([expect.objectContaining({ why: 'it did not answer pings' })]);
});

natsTest(
  'credentials that are refused later are logged once, and tried again until they are accepted',
  async () => {
    const servers = await NatsServers.start(1, {
      config: { authorization: { user: 'app', password: 'one' } },
    });
    const file = join(newFolder(), 'password');
    writeFileSync(file, 'one\n');
    const log = new KeptLog();
    const link = await linkTo({ NATS_URL: servers.url, NATS_USER: 'app', NATS_PASSWORD_FILE: file }, log);
    await servers.kill(0);
    await servers.restart(0, { config: { authorization: { user: 'app', password: 'two' } } });
    const refusals = (): number => servers.server(0).log.split('authentication error').length - 1;
    await until(() => refusals() > 3);
    expect(link.isConnected).toBe(false);
    expect(log.count('NATS does not accept the credentials of this node')).toBe(1);
    expect(log.count('NATS was lost')).toBe(1);
    writeFileSync(file, 'two\n');
    await until(() => link.isConnected);
    expect(JSON.stringify(log.lines)).not.toContain('"one"');
  },
);

natsTest('the largest message of a node is the lowest limit of its servers', async () => {
  const servers = await NatsServers.start(1);
  const link = await linkTo({ NATS_URL: servers.url });
  expect(link.maxPayload).toBe(8 * MEBIBYTE);
  for (const max_payload of [MEBIBYTE, 4 * MEBIBYTE]) {
    await servers.kill(0);
    await until(() => !link.isConnected);
    await servers.restart(0, { config: { max_payload } });
    await until(() => link.isConnected);
    expect(link.connection.info?.max_payload).toBe(max_payload);
    expect(link.maxPayload).toBe(MEBIBYTE);
  }
});

natsTest('a node logs that a server is about to shut down', async () => {
  const servers = await NatsServers.start(1);
  const log = new KeptLog();
  await linkTo({ NATS_URL: servers.url }, log);
  process.kill(servers.server(0).pid, 'SIGUSR2');
  await until(() => log.count('a server of NATS is shutting down') === 1);
  expect(log.bad).toEqual([]);
});

natsTest('a node logs that its user may not use a subject', async () => {
  const users = [{ user: 'app', password: 'p', permissions: { subscribe: ['_INBOX.>'] } }];
  const servers = await NatsServers.start(1, { config: { authorization: { users } } });
  const log = new KeptLog();
  const link = await linkTo({ NATS_URL: servers.url, NATS_USER: 'app', NATS_PASSWORD: 'p' }, log);
  link.connection.subscribe('news', { callback: () => undefined });
  await until(() => log.bad.length > 0);
  expect(log.bad).toEqual([
    expect.objectContaining({
      msg: 'NATS does not let this node use a subject: change the permissions of its user',
      answer: expect.stringContaining('"news"'),
    }),
  ]);
  expect(link.isConnected).toBe(true);
});

natsTest('closing a connection sends all published messages, over TLS too, and may be repeated', async () => {
  const { config, authority } = overTls();
  const servers = await NatsServers.start(1, { config });
  const variables = { NATS_URL: servers.url, NATS_CA: authority.file };
  const log = new KeptLog();
  const [link, other] = [await linkTo(variables, log), await linkTo(variables)];
  let heard = 0;
  other.connection.subscribe('news', {
    callback: () => {
      heard += 1;
    },
  });
  await other.connection.flush();
  for (let count = 0; count < 300; count++) link.connection.publish('news', 'x'.repeat(10_000));
  await Promise.all([link.close(), link.close()]);
  await until(() => heard === 300);
  expect(link.connection.isClosed()).toBe(true);
  expect(link.isConnected).toBe(false);
  expect(log.bad).toEqual([]);
});

natsTest('a process that closes its connection while it looks up a server ends by itself', async () => {
  const servers = await NatsServers.start(1);
  const programOf = (path: string): string => JSON.stringify(pathToFileURL(join(DIST, path)).href);
  const program = `
    import dns from 'node:dns';
    import { once } from 'node:events';
    import { connectNats } from ${programOf('cluster/connection.js')};
    import { readConfig } from ${programOf('config/config.js')};
    const { nats: config } = readConfig(process.env, [], 1024);
    const logger = { info() {}, warn() {}, error() {} };
    const link = await connectNats({ config, logger, signal: new AbortController().signal });
    const { lookup } = dns;
    const asked = new Promise((resolve) => {
      dns.lookup = (...question) => resolve(() => lookup(...question));
    });
    process.stdout.write('connected');
    const answer = await asked;
    process.stdout.write(', looking up');
    await once(process.stdin, 'data');
    process.stdin.destroy();
    await link.close();
    answer();
  `;
  const env = { PATH: process.env['PATH'], NATS_URL: servers.url.replace('127.0.0.1', 'localhost') };
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { env, stdio: 'pipe' });
  try {
    let said = '';
    for (const output of [child.stdout, child.stderr]) output.on('data', (text) => (said += String(text)));
    await until(() => said === 'connected');
    await servers.kill(0);
    await until(() => said === 'connected, looking up');
    await servers.restart(0);
    child.stdin.write('end');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(said).toBe('connected, looking up');
  } finally {
    child.kill('SIGKILL');
  }
});

test.each([
  ['waits for a server', 1],
  ['asks why a server cannot be used', 2],
])(
  'a start that is ended while it %s gives up, without an error or further questions',
  async (_what, asked) => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const config = natsConfigOf({ NATS_URL: `nats://127.0.0.1:${port}` });
    const ending = new AbortController();
    const starting = connectNats({ config, logger: new KeptLog().logger, signal: ending.signal });
    await until(() => sockets.length === asked);
    ending.abort();
    expect(await starting).toBeUndefined();
    expect(sockets).toHaveLength(asked);
    silent.close();
    for (const socket of sockets) socket.destroy();
  },
);
