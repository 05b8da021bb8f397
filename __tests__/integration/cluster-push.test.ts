/** Notifications of two nodes. They, NATS and the push service are in a network of their own. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import { natsTest } from '../support/nats.ts';
import { PushNetwork, pushTest } from '../support/push-network.ts';
import { dealtWith, markRead } from '../support/push-state.ts';
import { cleanUp, newFolder, Server, undoAtEnd } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const clusterPushTest = pushTest === test.skip || natsTest === test.skip ? test.skip : test;

const NATS_URL = 'nats://127.0.0.1:4222';
const HOLDS = 'this node holds the lease';

/** Starts a NATS server in a network, and makes the log in it. */
async function startNats({ wrapper }: PushNetwork): Promise<void> {
  const folder = newFolder();
  const config = { listen: '127.0.0.1:4222', jetstream: { store_dir: folder, sync_interval: 'always' } };
  const file = join(folder, 'nats.conf');
  writeFileSync(file, JSON.stringify(config));
  const [program, ...args] = [...wrapper, 'nats-server', '-c', file];
  const child = spawn(program, args, { stdio: 'ignore' });
  undoAtEnd(() => child.kill('SIGKILL'));
  const command = ['cluster', 'init', '--replicas', '1'];
  const init = async (): Promise<boolean> =>
    (await Server.run({ args: command, env: { NATS_URL }, wrapper, tap: false })).code === 0;
  await until(init, 'the log in NATS');
}

clusterPushTest('each message is notified once, also if the node that sends is killed', async () => {
  const network = await PushNetwork.start();
  await startNats(network);
  const holder = await network.startServer({ NATS_URL, PORT: '7071' });
  await until(() => holder.stderr.includes(HOLDS), 'a holder');
  const next = await network.startServer({ NATS_URL }, join(newFolder(), 'next.sqlite'));
  const phone = await network.subscribe('bob');
  const first = await send(network.url, 'bob', 'first', { sender: 'alice' });
  await network.waitFor(phone, 1);
  await dealtWith(next.database, 'bob', first.id);
  expect(next.stderr).not.toContain(HOLDS);
  await holder.kill();
  // Nobody holds the lease now: the next holder finds it in the log.
  await send(network.url, 'bob', 'second', { sender: 'carol' });
  await until(() => next.stderr.includes(HOLDS), 'the next holder');
  await network.waitFor(phone, 2);
  const last = await send(network.url, 'bob', 'third', { sender: 'dave' });
  await dealtWith(next.database, 'bob', last.id);
  await markRead(network.url, 'bob', 'alice', first.id);
  const opened = await network.waitFor(phone, 4);
  expect(opened.map(({ payload }) => payload.content ?? `read ${payload.through}`)).toEqual([
    'first',
    'second',
    'third',
    `read ${first.id}`,
  ]);
  // All are signed with the one pair of keys of the cluster.
  expect(new Set(opened.map(({ publicKey }) => publicKey)).size).toBe(1);
});
