import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { Objm } from '@nats-io/obj';
import { connect, type NatsConnection, PermissionViolationError } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { send } from '../support/api.ts';
import { CertificateAuthority } from '../support/certificate.ts';
import {
  describeNats,
  type NatsCommand,
  type NatsPlace,
  NatsServers,
  natsTest,
  PATIENT,
} from '../support/nats.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

const FILE = join(import.meta.dirname, '../../deploy/nats/nats.conf');
const CONFIGURATION = readFileSync(FILE, 'utf8');
const [PASSWORD, ROUTES_PASSWORD] = ['of-tidings', 'of-routes'];

/** The variables that the configuration wants. */
function variables(
  place: Pick<NatsPlace, 'name' | 'folder' | 'monitorPort' | 'routes'>,
): Record<string, string> {
  const routes = place.routes.map((route) => route.replace('//', `//routes:${ROUTES_PASSWORD}@`));
  return {
    NATS_NAME: place.name,
    NATS_STORE: join(place.folder, 'store'),
    NATS_ROUTES: `[${routes.join(', ')}]`,
    NATS_ROUTES_PASSWORD: ROUTES_PASSWORD,
    NATS_PASSWORD: PASSWORD,
    NATS_MONITOR: `127.0.0.1:${place.monitorPort}`,
  };
}

/** Runs a file with this configuration, on free ports instead of its own. */
function commandWith(file: string): (place: NatsPlace) => NatsCommand {
  return (place) => ({
    args: [
      ...['-c', file, '-a', '127.0.0.1', '-p', String(place.port)],
      ...['--cluster', `nats://127.0.0.1:${place.routePort}`],
    ],
    env: variables(place),
  });
}

/** Writes a configuration for a test, and returns its file. */
function write(text: string): string {
  const file = join(newFolder(), 'nats.conf');
  writeFileSync(file, text);
  return file;
}

/** Returns a configuration with one part replaced, which it must have. */
function replaced(text: string, said: string, here: string): string {
  expect(text).toContain(said);
  return text.replaceAll(said, here);
}

/** Checks a configuration as an operator does. */
function check(file: string): { status: number | null; output: string } {
  const place = { name: 'nats-1', folder: newFolder(), monitorPort: 8222, routes: ['nats://127.0.0.1:6222'] };
  const env = { PATH: process.env['PATH'], ...variables(place) };
  const { status, stderr } = spawnSync('nats-server', ['-t', '-c', file], { env, encoding: 'utf8' });
  return { status, output: stderr };
}

describeNats('three NATS servers, as deploy has them', () => {
  let servers: NatsServers;
  let tidings: NatsConnection;
  let other: NatsConnection;

  const connectAs = (user: string, pass: string): Promise<NatsConnection> =>
    connect({ servers: servers.url.split(','), user, pass, timeout: 10_000 });

  beforeAll(async () => {
    // Its neighbour: another account of the same servers.
    const neighbour = 'OTHER { jetstream: enabled, users: [{ user: other, password: of-other }] }';
    const file = write(replaced(CONFIGURATION, 'accounts {', `accounts {\n  ${neighbour}`));
    servers = await NatsServers.start(3, { command: commandWith(file) });
    [tidings, other] = [await connectAs('tidings', PASSWORD), await connectAs('other', 'of-other')];
  });
  afterAll(async () => {
    await Promise.all([tidings.close(), other.close()]);
    await cleanUp();
  });

  natsTest('NATS servers of deploy flush each message before acknowledging it, and take 8 MiB', async () => {
    for (const server of servers.servers) {
      const state = await server.ask<{ config: { sync_always?: boolean } }>('/jsz?config=true');
      expect(state?.config.sync_always).toBe(true);
    }
    expect(tidings.info?.max_payload).toBe(8 * 1024 * 1024);
  });

  natsTest('NATS servers of deploy let nobody in without the password', async () => {
    await expect(connectAs('tidings', 'guessed')).rejects.toThrow('Authorization Violation');
    await expect(connect({ servers: servers.url.split(',') })).rejects.toThrow('Authorization Violation');
  });

  natsTest('NATS servers of deploy let cluster init make a log, and a node follow it', async () => {
    const env = { NATS_URL: servers.url, NATS_USER: 'tidings', NATS_PASSWORD: PASSWORD };
    const init = await Server.run({ args: ['cluster', 'init'], env });
    expect(init).toMatchObject({ code: 0, stdout: expect.stringContaining('in the stream tidings-1') });
    const manager = await jetstreamManager(tidings, PATIENT);
    const { config } = await manager.streams.info('tidings-1');
    expect(config).toMatchObject({ storage: 'file', num_replicas: 3 });
    const node = await Server.start({ env });
    expect((await send(node.url, 'bob', 'hi')).recipient).toBe('bob');
    expect((await node.stop()).code).toBe(0);
  });

  natsTest('NATS servers of deploy let Tidings write, read and trim a stream', async () => {
    const manager = await jetstreamManager(tidings, PATIENT);
    await manager.streams.add({ name: 'tidings-9', subjects: ['tidings.9.entries'], num_replicas: 3 });
    const js = jetstream(tidings, PATIENT);
    for (const text of ['one', 'two', 'three']) await js.publish('tidings.9.entries', text, PATIENT);
    const consumer = await js.consumers.get('tidings-9', { opt_start_seq: 2 });
    const texts: string[] = [];
    for await (const message of await consumer.fetch({ max_messages: 2 })) texts.push(message.string());
    expect(texts).toEqual(['two', 'three']);
    await consumer.delete();
    await manager.streams.purge('tidings-9', { seq: 3 });
    const { state } = await manager.streams.info('tidings-9');
    expect(state).toMatchObject({ first_seq: 3, last_seq: 3 });
    expect((await manager.streams.getMessage('tidings-9', { seq: 3 }))?.string()).toBe('three');
  });

  natsTest('NATS servers of deploy let Tidings keep keys, hold an expiring lease, watch both', async () => {
    const manager = new Kvm(jetstream(tidings, PATIENT));
    const keys = await manager.create('tidings-keys', { replicas: 3, ...PATIENT });
    const revision = await keys.create('pointer', 'tidings');
    await expect(keys.create('pointer', 'other')).rejects.toThrow('wrong last sequence');
    await keys.update('pointer', 'tidings-2', revision);
    expect((await keys.get('pointer'))?.string()).toBe('tidings-2');
    const leases = await manager.create('tidings-lease', { replicas: 3, ttl: 1_000, ...PATIENT });
    await leases.create('holder', 'node-1');
    const changes = await leases.watch();
    for await (const change of changes) {
      expect([change.key, change.string()]).toEqual(['holder', 'node-1']);
      break;
    }
    // The servers do not all notice at the same moment.
    const take = (): Promise<boolean> =>
      leases.create('holder', 'node-2').then(
        () => true,
        () => false,
      );
    await until(take, 'the lease to expire');
    expect((await leases.get('holder'))?.string()).toBe('node-2');
    await leases.delete('holder');
  });

  natsTest('NATS servers of deploy let Tidings store a snapshot, read it back and remove it', async () => {
    const manager = new Objm(jetstream(tidings, PATIENT));
    const bucket = await manager.create('tidings-snapshot-1', { replicas: 3 });
    const bytes = Buffer.alloc(300_000, 'snapshot');
    await bucket.putBlob({ name: 'database' }, bytes);
    expect(Buffer.from((await bucket.getBlob('database')) ?? []).equals(bytes)).toBe(true);
    expect(await bucket.destroy()).toBe(true);
  });

  natsTest('NATS servers of deploy let nodes of Tidings talk to each other', async () => {
    const node = await connectAs('tidings', PASSWORD);
    node.subscribe('tidings.bus', {
      callback: (_error, message) => void message.respond('2'),
    });
    await node.flush();
    // The two may be at different servers, which tell each other of subscriptions a moment later.
    const ask = (): Promise<string | undefined> =>
      tidings.request('tidings.bus', 'how many?').then(
        (answer) => answer.string(),
        () => undefined,
      );
    await until(async () => (await ask()) === '2', 'an answer of the other node');
    await node.close();
  });

  natsTest.each([
    'news',
    'tiding.log',
    '$JS.API.STREAM.DELETE.tidings-1',
    '$JS.API.STREAM.DELETE.KV_tidings',
    '$JS.API.STREAM.MSG.DELETE.tidings-1',
    '$JS.API.STREAM.SNAPSHOT.tidings-1',
    '$JS.API.STREAM.RESTORE.tidings-1',
    '$JS.API.STREAM.LEADER.STEPDOWN.tidings-1',
    '$JS.API.STREAM.PEER.REMOVE.tidings-1',
    '$JS.API.META.LEADER.STEPDOWN',
    '$JS.API.SERVER.REMOVE',
    '$SYS.REQ.SERVER.PING',
    '_INBOX.of.somebody',
  ])('NATS servers of deploy do not let Tidings publish to %s', async (subject) => {
    await expect(tidings.request(subject, '{}', { timeout: 10_000 })).rejects.toMatchObject({
      cause: expect.any(PermissionViolationError),
    });
  });

  natsTest.each(['>', 'news', '$SYS.>', '$JS.EVENT.>', '$KV.>', '$JS.API.>'])(
    'NATS servers of deploy do not let Tidings subscribe to %s',
    async (subject) => {
      const subscription = tidings.subscribe(subject);
      expect(await subscription.closed).toBeInstanceOf(PermissionViolationError);
    },
  );

  natsTest('NATS servers of deploy keep the streams and messages of another account apart', async () => {
    const manager = await jetstreamManager(other, PATIENT);
    await manager.streams.add({ name: 'other', subjects: ['tidings.>'], num_replicas: 3 });
    const theirs = await jetstream(other, PATIENT).publish('tidings.1.entries', 'not of the log', PATIENT);
    expect(theirs).toMatchObject({ stream: 'other', seq: 1 });
    const ours = await jetstreamManager(tidings, PATIENT);
    await expect(ours.streams.info('other')).rejects.toThrow('stream not found');
    expect(await ours.streams.names().next()).not.toContain('other');
    await expect(manager.streams.info('tidings-1')).rejects.toThrow('stream not found');
  });
});

describeNats('nats.conf of deploy', () => {
  afterAll(cleanUp);

  natsTest('nats.conf of deploy is valid as it stands', () => {
    expect(check(FILE)).toEqual({ status: 0, output: expect.stringContaining('is valid') });
  });

  natsTest('nats.conf of deploy is valid with its lines for TLS', () => {
    const authority = new CertificateAuthority();
    const { certificate, key } = authority.sign('server');
    let text = CONFIGURATION;
    for (const block of text.match(/^ *# tls \{\n(?: *# .*\n)* *# \}$/gm) ?? []) {
      text = replaced(text, block, block.replace(/^( *)# /gm, '$1'));
    }
    expect(text.match(/^ *tls \{$/gm)).toHaveLength(2);
    text = replaced(text, '/etc/nats/server.pem', certificate);
    text = replaced(text, '/etc/nats/server.key', key);
    text = replaced(text, '/etc/nats/ca.pem', authority.file);
    expect(check(write(text))).toEqual({ status: 0, output: expect.stringContaining('is valid') });
  });

  natsTest('nats.conf of deploy names each variable that it needs in its head, and no other', () => {
    const [head = ''] = CONFIGURATION.split('\n\n', 1);
    const described = [...head.matchAll(/^# {3}(NATS_\w+) /gm)].map(([, name]) => name);
    const used = [...CONFIGURATION.matchAll(/: \$(NATS_\w+)$/gm)].map(([, name]) => name);
    expect(new Set(described)).toEqual(new Set(used));
  });
});
