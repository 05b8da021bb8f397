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

/** The generation that a log begins with. */
export const FIRST_GENERATION = 1;

/** The log of one machine that becomes that of a cluster. */
export interface LogOfOne {
  /** The database, without links. This process holds its lock. */
  readonly file: string;
  readonly logId: string;
  /** Makes the database a replica that stands at the beginning of the cluster's log. Can be repeated. */
  readonly begin: () => void;
}

/** The options of the beginning of a cluster. */
export interface InitOptions {
  /** How many servers have each entry. */
  readonly replicas: number;
  readonly retention: Retention;
  readonly vapidKeys: VapidKeys;
  /** `undefined`: the log begins empty. */
  readonly before: LogOfOne | undefined;
}

/** The surroundings of `init`. */
export interface InitSurroundings extends Omit<SnapshotSurroundings, 'catalogue' | 'connected'> {
  readonly connected: JetStreamLink;
}

/**
 * Makes the stream, the catalogue and the bucket of the lease of a log in NATS. It can be repeated after it was interrupted:
 * what is there already is taken, and the record in the catalogue, which nodes ask for, is written last.
 *
 * @returns the record, and whether it was there already
 * @throws {StartError} if there is another log; {Error} if NATS refuses something
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

/** @throws {StartError} if NATS has another log than DATABASE */
function checked(record: LogRecord, before: LogOfOne | undefined): LogRecord {
  if (before === undefined || before.logId === record.logId) return record;
  throw new StartError(
    `NATS has the log ${record.logId} already, and DATABASE has ${before.logId}: set NATS_STREAM to another name, or unset ` +
      'DATABASE.',
  );
}
