/** Of the NATS servers that other suites rely on: what they do is known here, before anything of Tidings is in between. */
import { jetstream, jetstreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import {
  connect,
  credsAuthenticator,
  type NatsConnection,
  nkeyAuthenticator,
  type NodeConnectionOptions,
} from '@nats-io/transport-node';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect } from '@jest/globals';
import { describeNats, type NatsConfig, NatsServers, natsTest, PATIENT } from '../support/nats.ts';
import { credentials, overTls, publicKey, sharedToken, userAndPassword } from '../support/nats-sign-in.ts';
import { cleanUp } from '../support/server.ts';
import { until } from '../support/until.ts';

const connections: NatsConnection[] = [];

async function connectTo(servers: NatsServers, options: NodeConnectionOptions = {}): Promise<NatsConnection> {
  const connection = await connect({
    servers: servers.url.split(','),
    // So that a server that is gone or stands still is noticed, and the next one tried, without end.
    ...{
      pingInterval: 1_000,
      maxPingOut: 2,
      timeout: 2_000,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
    },
    ...options,
  });
  connections.push(connection);
  return connection;
}

async function closeAll(): Promise<void> {
  await Promise.all(connections.splice(0).map((connection) => connection.close()));
}

/** Makes the stream `notes` with a copy on each server. */
async function makeStream(connection: NatsConnection, copies: number): Promise<void> {
  const manager = await jetstreamManager(connection, PATIENT);
  await manager.streams.add({
    name: 'notes',
    subjects: ['notes'],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    num_replicas: copies,
  });
}

/** Publishes until it is acknowledged: an election makes requests fail for a time. Returns the sequence. */
async function publish(connection: NatsConnection, text: string): Promise<number> {
  let sequence: number | undefined;
  await until(async () => {
    const ack = await jetstream(connection, PATIENT)
      .publish('notes', text, { msgID: text, timeout: 2_000 })
      .catch(() => undefined);
    sequence = ack?.seq;
    return sequence !== undefined;
  }, 'the message to be acknowledged');
  return sequence ?? NaN;
}

/** Reads all of the stream `notes`. */
async function readAll(connection: NatsConnection): Promise<string[]> {
  const manager = await jetstreamManager(connection, PATIENT);
  const count = (await manager.streams.info('notes')).state.messages;
  const consumer = await jetstream(connection, PATIENT).consumers.get('notes');
  const texts: string[] = [];
  for await (const message of await consumer.fetch({ max_messages: count, expires: 10_000 })) {
    texts.push(message.string());
  }
  return texts;
}

/** Waits until another server than this one leads the stream `notes`, and returns its index. */
async function waitForAnotherLeader(servers: NatsServers, before: number): Promise<number> {
  let leader: number | undefined;
  const isAnother = async (): Promise<boolean> => {
    leader = await servers.leaderOf('notes');
    return leader !== undefined && leader !== before;
  };
  await until(isAnother, 'another leader of the stream');
  return leader ?? NaN;
}

describeNats('one NATS server', () => {
  afterEach(async () => {
    await closeAll();
    await cleanUp();
  });

  natsTest('one NATS server keeps acknowledged messages when it is killed and started again', async () => {
    const servers = await NatsServers.start(1);
    const connection = await connectTo(servers);
    await makeStream(connection, 1);
    expect(await servers.leaderOf('notes')).toBe(0);
    expect(await publish(connection, 'one')).toBe(1);
    await servers.kill(0);
    expect(await servers.leaderOf('notes')).toBeUndefined();
    await servers.restart(0);
    await servers.ready();
    expect(await publish(connection, 'two')).toBe(2);
    expect(await readAll(connection)).toEqual(['one', 'two']);
  });

  natsTest('one NATS server flushes each message before it acknowledges it, and takes 8 MiB', async () => {
    const servers = await NatsServers.start(1);
    const state = await servers.server(0).ask<{ config: { sync_always?: boolean } }>('/jsz?config=true');
    expect(state?.config.sync_always).toBe(true);
    const connection = await connectTo(servers);
    expect(connection.info?.max_payload).toBe(8 * 1024 * 1024);
  });

  const read = (file: string): Uint8Array => readFileSync(file);
  const ways: Record<string, () => { config: NatsConfig; options: NodeConnectionOptions }> = {
    'a user with a password': () => {
      const { config, user, password } = userAndPassword();
      return { config, options: { user, pass: password } };
    },
    'a token': () => {
      const { config, token } = sharedToken();
      return { config, options: { token } };
    },
    'a key': () => {
      const { config, seedFile } = publicKey();
      const seed = Buffer.from(readFileSync(seedFile, 'utf8').trim());
      return { config, options: { authenticator: nkeyAuthenticator(seed) } };
    },
    'a file of credentials': () => {
      const { config, credsFile } = credentials();
      return { config, options: { authenticator: credsAuthenticator(read(credsFile)) } };
    },
    'a certificate': () => {
      const { config, authority, client } = overTls({ verify: true });
      const { certificate: certFile, key: keyFile } = client;
      return { config, options: { tls: { caFile: authority.file, certFile, keyFile } } };
    },
  };

  natsTest.each(Object.entries(ways))('one NATS server can be told to let in only %s', async (_name, way) => {
    const { config, options } = way();
    const servers = await NatsServers.start(1, { config });
    await expect(connectTo(servers, { reconnect: false })).rejects.toThrow();
    const connection = await connectTo(servers, options);
    await makeStream(connection, 1);
    expect(await publish(connection, 'one')).toBe(1);
  });
});

describeNats('three NATS servers', () => {
  let servers: NatsServers;
  let connection: NatsConnection;
  beforeAll(async () => {
    servers = await NatsServers.start(3);
    connection = await connectTo(servers);
    await makeStream(connection, 3);
    await publish(connection, 'first');
  });
  afterAll(async () => {
    await closeAll();
    await cleanUp();
  });

  natsTest('three NATS servers choose another leader of a stream after the first was killed', async () => {
    const leader = await waitForAnotherLeader(servers, NaN);
    await servers.kill(leader);
    const next = await waitForAnotherLeader(servers, leader);
    await publish(connection, 'after a kill');
    expect(servers.server(next).isAwake).toBe(true);
    await servers.restart(leader);
    await servers.ready();
  });

  natsTest('three NATS servers serve a stream while a follower stands still and catches up', async () => {
    const leader = await waitForAnotherLeader(servers, NaN);
    const follower = (leader + 1) % 3;
    servers.pause(follower);
    const sequence = await publish(connection, 'while one stands still');
    expect(await servers.server(follower).isHealthy()).toBe(false);
    servers.resume(follower);
    await servers.ready();
    const last = async (): Promise<number | undefined> => {
      const state = await servers.server(follower).ask<{ messages: number }>('/jsz');
      return state?.messages;
    };
    await until(async () => (await last()) === sequence, 'the follower to have the message');
  });

  natsTest('three NATS servers have all acknowledged messages after all were killed at once', async () => {
    await publish(connection, 'before the end');
    const before = await readAll(connection);
    await Promise.all([0, 1, 2].map((index) => servers.kill(index)));
    await Promise.all([0, 1, 2].map((index) => servers.restart(index)));
    await servers.ready();
    await publish(connection, 'after the end');
    expect(await readAll(connection)).toEqual([...before, 'after the end']);
    expect(before).toContain('before the end');
  });
});
