import { randomBytes } from 'node:crypto';
import { newEpoch } from '../log/cursor.ts';
import { entryOf } from '../log/entry.ts';
import type { Retention } from '../log/retention.ts';
import type { VapidKeys } from '../push/vapid.ts';
import { StartError } from '../start-error.ts';
import { Catalogue, type LogRecord } from './catalogue.ts';
import type { JetStreamLink } from './jetstream-link.ts';
import { makeGeneration, streamInfo } from './generation.ts';
import { makeLeaseBucket } from './lease-key.ts';
import { catalogueName, LOG_ID } from './names.ts';
import { makeSnapshot, type SnapshotSurroundings } from './snapshot.ts';
import { newestOf } from './snapshot-list.ts';

/** The first generation of a log. */
export const FIRST_GENERATION = 1;

/** The log of a single machine that becomes the log of a cluster. */
export interface LogOfOne {
  /** The path of the database, without links. This process holds its lock. */
  readonly file: string;
  readonly logId: string;
  /** Turns the database into a replica at the beginning of the cluster's log. Can be repeated. */
  readonly begin: () => void;
}

/** The options of `initCluster`. */
export interface InitOptions {
  /** The number of servers that store each entry. */
  readonly replicas: number;
  readonly retention: Retention;
  readonly vapidKeys: VapidKeys;
  /** The log to begin with; `undefined` to begin empty. */
  readonly before: LogOfOne | undefined;
}

/** The surroundings of `init`. */
export interface InitSurroundings extends Omit<SnapshotSurroundings, 'catalogue' | 'connected'> {
  readonly connected: JetStreamLink;
}

/**
 * Creates the stream, the catalogue and the lease bucket of a log in NATS. It can be repeated after an interruption:
 * existing parts are used, and the record in the catalogue, which nodes look for, is written last.
 *
 * @returns the record, and whether it is new
 * @throws {StartError} if NATS has a different log; {Error} if NATS refuses something
 */
export async function initCluster(
  surroundings: InitSurroundings,
  { replicas, retention, vapidKeys, before }: InitOptions,
): Promise<{ readonly record: LogRecord; readonly isNew: boolean }> {
  const { connected, nats } = surroundings;
  const { stream: prefix } = nats;
  const { Kvm } = await import('@nats-io/kv');
  const bucket = await new Kvm(connected.client).create(catalogueName(prefix), {
    replicas,
    storage: 'file',
    history: 1,
  });
  await makeLeaseBucket(connected.client, prefix, replicas);
  const catalogue = new Catalogue(bucket);
  const existing = await catalogue.log();
  if (existing !== undefined) return { record: checked(existing, before), isNew: false };
  before?.begin();
  const generation = FIRST_GENERATION;
  const found = await streamInfo(connected, prefix, generation);
  const logId = before?.logId ?? found?.config.metadata?.[LOG_ID] ?? randomBytes(8).toString('hex');
  const entries = [entryOf({ kind: 'epoch', epoch: newEpoch() }), entryOf({ kind: 'settings', retention })];
  await makeGeneration(connected, { prefix, logId, generation, replicas }, 'init', entries);
  if (before !== undefined && newestOf(await catalogue.snapshots(), generation) === undefined) {
    await makeSnapshot({ ...surroundings, catalogue }, { file: before.file, logId, generation });
  }
  const record = { logId, generation, vapidKeys };
  await catalogue.create(record);
  return { record, isNew: true };
}

/** Returns the record. @throws {StartError} if NATS has a different log from DATABASE */
function checked(record: LogRecord, before: LogOfOne | undefined): LogRecord {
  if (before === undefined || before.logId === record.logId) return record;
  throw new StartError(
    `NATS already has the log ${record.logId}, and DATABASE has ${before.logId}: set NATS_STREAM to another name, or unset ` +
      'DATABASE.',
  );
}
