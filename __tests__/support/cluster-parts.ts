/** The parts of a cluster in this process, over a connection to real servers of NATS, without a node. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { pino } from 'pino';
import { initCluster, type InitSurroundings } from '../../src/cluster/init.ts';
import type { LogRecord } from '../../src/cluster/catalogue.ts';
import { connectJetStream, type JetStreamLink } from '../../src/cluster/jetstream-link.ts';
import { beginCluster } from '../../src/log/replica/begin-cluster.ts';
import { makeReady } from '../../src/log/replica/database.ts';
import { newVapidKeys } from '../../src/push/vapid.ts';
import { send } from './api.ts';
import type { NatsServers } from './nats.ts';
import { positionOf } from './position.ts';
import { BUNDLE, Server, undoAtEnd } from './server.ts';

/** The program of snapshots, bundled. */
export const SNAPSHOT_PROGRAM = pathToFileURL(join(BUNDLE, 'dist/cluster/snapshot-process.js'));

/** The surroundings of operations, with the lines of their log. */
export interface ClusterParts extends InitSurroundings {
  readonly lines: readonly { level: number; msg: string; why?: string }[];
  readonly program: URL;
}

/** Connects to the first server. `cleanUp` ends that. */
export async function openParts(servers: NatsServers, stream: string): Promise<ClusterParts> {
  const nats = {
    servers: [{ host: '127.0.0.1', port: servers.server(0).place.port }],
    ...{ tls: undefined, signIn: undefined, stream, nodeName: 'test', monitorUrls: [] },
  };
  const lines: ClusterParts['lines'][number][] = [];
  const logger = pino({}, { write: (line: string) => lines.push(JSON.parse(line) as (typeof lines)[0]) });
  const { signal } = new AbortController();
  const connected = (await connectJetStream({ config: nats, logger, signal })) as JetStreamLink;
  undoAtEnd(() => connected.link.close());
  return { connected, nats, logger, lines, signal, program: SNAPSHOT_PROGRAM };
}

/** Makes a database of one machine the beginning of a cluster. */
export async function initWith(parts: ClusterParts, file: string): Promise<LogRecord> {
  const { logId } = positionOf(file);
  const begin = (): void => makeReady(file, (database) => void beginCluster(database, 1));
  const retention = { days: 0, messages: 0 };
  const before = { file, logId, begin };
  const { record } = await initCluster(parts, { replicas: 1, retention, vapidKeys: newVapidKeys(), before });
  return record;
}

/** Makes a database as a single service leaves it, with one message for bob. */
export async function databaseOfOne(): Promise<string> {
  const alone = await Server.start();
  await send(alone.url, 'bob', 'kept');
  await alone.stop();
  return alone.database;
}
