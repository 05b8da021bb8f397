import { explain } from '../files/explain.ts';
import { realFile } from '../files/real-file.ts';
import { type EntryStream, type StreamExtent, StreamGone } from '../log/order/entry-stream.ts';
import { inspect } from '../log/replica/database.ts';
import { roomFor } from '../log/replica/disk-space.ts';
import { sizeText } from '../size-text.ts';
import { isAtBranch } from '../log/replica/join-cluster.ts';
import { lockDatabase } from '../log/replica/lock.ts';
import { knownSchema } from '../log/replica/migrations.ts';
import { removeAbandonedCopy } from '../log/replica/replica-copy.ts';
import {
  asideFile,
  joiningFile,
  lookAtReplica,
  removeAside,
  removeJoining,
  replaceDatabase,
  type ReplicaState,
} from '../log/replica/replica-file.ts';
import { sentence } from '../sentence.ts';
import { StartError } from '../start-error.ts';
import type { LogRecord } from './catalogue.ts';
import { snapshotBucket } from './names.ts';
import { patiently } from './patiently.ts';
import type { SnapshotSurroundings } from './snapshot.ts';
import { runJob } from './snapshot-job.ts';
import { type Snapshot, type SnapshotList, snapshotsOf } from './snapshot-list.ts';
import { newId, withAnnouncement } from './transfer.ts';

/** A plan for a database that should follow the stream. */
type JoinPlan =
  /** Follow as it is. If that is impossible, opening it fails with the reason. */
  | { readonly kind: 'follow' }
  /**
   * Replace it by the first of these snapshots that is intact. `keepsOld` keeps the old database if it may have data
   * that others lack.
   */
  | {
      readonly kind: 'take';
      readonly snapshots: Snapshot[];
      readonly why: string;
      readonly keepsOld: boolean;
    };

/** A joining node: its database, and the log. */
export interface JoinOptions {
  /** The path of the database, as the operator gave it. */
  readonly database: string;
  /** Whether to keep a copy of a database of an older version before it is migrated. */
  readonly keepsCopy: boolean;
  readonly record: LogRecord;
  readonly stream: EntryStream;
}

/**
 * Decides how a node joins.
 *
 * @param state the state of its database; `undefined` if there is none
 * @throws {StartError} if it cannot join, with instructions for the operator
 */
function planJoin(
  state: ReplicaState | undefined,
  record: LogRecord,
  { first }: Pick<StreamExtent, 'first'>,
  list: SnapshotList,
): JoinPlan {
  const { generation } = record;
  const ofGeneration = snapshotsOf(list, generation);
  const take = (why: string, keepsOld: boolean): JoinPlan => {
    const snapshots = ofGeneration.filter(({ sequence }) => sequence + 1 >= first);
    if (snapshots.length > 0) return { kind: 'take', snapshots, why, keepsOld };
    throw new StartError(
      `The stream in NATS begins at entry ${first}, and no snapshot reaches that far: run \`cluster snapshot\` on a node that ` +
        'follows it, then start this one again.',
    );
  };
  const isReplica = state?.sequence !== null && state?.logId === record.logId;
  if (isReplica && isAtBranch(state, record)) return { kind: 'follow' };
  if (isReplica && state.generation === generation) {
    return state.sequence + 1 >= first
      ? { kind: 'follow' }
      : take(`it has applied ${String(state.sequence)} entries, and the stream begins at ${first}`, false);
  }
  if (isReplica && (state.generation ?? 0) < generation) {
    return take(
      `it has generation ${String(state.generation)} of the log, and the cluster ${generation}`,
      true,
    );
  }
  const isEmpty = state === undefined || (!state.hasContent && state.sequence === null);
  if (isEmpty && (ofGeneration.length > 0 || first > 1)) return take('it is empty', false);
  return { kind: 'follow' };
}

/**
 * Prepares the database of a node to follow the stream. If there is none, or the stream does not continue it, replaces
 * it by the newest intact snapshot. It can be interrupted at any moment: a database is whole or does not exist, and the
 * next start begins again.
 *
 * @throws {StartError} if the node cannot join, with instructions for the operator
 */
export async function prepareReplica(
  surroundings: SnapshotSurroundings,
  { database, keepsCopy, record, stream }: JoinOptions,
): Promise<void> {
  const { catalogue, logger, signal } = surroundings;
  const file = explain(database, () => realFile(database));
  const extent = await patiently(() => stream.extent(), signal, unusable);
  if (extent === undefined) return;
  const lock = lockDatabase(file);
  try {
    explain(file, () => {
      removeJoining(file);
      removeAbandonedCopy(file);
    });
    const state = lookAtReplica(file, { keepsCopy, logger });
    const plan = planJoin(state, record, extent, await catalogue.snapshots());
    if (state !== undefined && isAtBranch(state, record) && state.generation !== record.generation) {
      const [before, now] = [state.generation, record.generation];
      logger.info({ before, now }, 'the database continues in a new generation of the log');
    }
    if (plan.kind === 'take') await takeSnapshot(surroundings, file, plan);
  } finally {
    lock.release();
  }
}

async function takeSnapshot(
  surroundings: SnapshotSurroundings,
  file: string,
  { snapshots, why, keepsOld }: Extract<JoinPlan, { kind: 'take' }>,
): Promise<void> {
  const { logger, signal } = surroundings;
  const began = performance.now();
  for (const [index, snapshot] of snapshots.entries()) {
    const { id, sequence, bytes } = snapshot;
    checkRoom(file, snapshot);
    const which = index === 0 ? 'the newest' : 'an older';
    logger.info({ snapshot: id, sequence, bytes, why }, `the database joins by ${which} snapshot`);
    const fault = await download(surroundings, file, snapshot);
    if (signal.aborted) return;
    if (fault === undefined) {
      putInPlace(surroundings, file, keepsOld);
      const seconds = Math.round(performance.now() - began) / 1000;
      logger.info({ snapshot: id, sequence, seconds }, 'the database has joined');
      return;
    }
    const older = snapshots[index + 1];
    if (older === undefined) throw fault;
    logger.warn(
      { snapshot: id, why: fault.message, older: older.id },
      'a snapshot cannot be used, and the next older one is tried: run `cluster snapshot` on another node',
    );
  }
}

/** Checks that this node can use a snapshot. @throws {StartError} if it has a newer schema, or the disk has no room */
function checkRoom(file: string, { id, bytes, schema }: Snapshot): void {
  if (schema > knownSchema()) {
    throw new StartError(
      `The snapshot ${id} has schema version ${schema}; this version of Tidings knows up to ${knownSchema()}. Start the version ` +
        'that made it, or a newer one.',
    );
  }
  const missing = explain(file, () => roomFor(file, bytes));
  if (missing > 0) {
    throw new StartError(
      `The disk of ${file} has no room for the snapshot: ${sizeText(missing)} are missing. Make room there, then start again.`,
    );
  }
}

/**
 * Downloads a snapshot beside the database, and checks it.
 *
 * @returns an error if it cannot be used; then its files are removed
 */
async function download(
  surroundings: SnapshotSurroundings,
  file: string,
  snapshot: Snapshot,
): Promise<StartError | undefined> {
  const { nats, signal, program } = surroundings;
  const { id, bytes, sha256 } = snapshot;
  const target = joiningFile(file);
  const bucket = snapshotBucket(nats.stream, id);
  try {
    await withAnnouncement(surroundings, { kind: 'downloads', id: newId(), snapshot: id }, () =>
      runJob({ kind: 'take', nats, bucket, file, target, bytes, sha256 }, { signal, program }),
    );
    // Refuse a bad copy before it is put in place.
    inspect(target);
    checkCopy(target, snapshot);
    return undefined;
  } catch (error) {
    removeJoining(file);
    if (error instanceof StartError) return error;
    const reason = (error as Error).message;
    return new StartError(
      `The snapshot ${id} cannot be used: ${reason}. Start again; if that does not help, run \`cluster snapshot\` on another node.`,
      { cause: error },
    );
  }
}

/** Gives the downloaded copy the name of the database. */
function putInPlace({ logger }: SnapshotSurroundings, file: string, keepsOld: boolean): void {
  const aside = asideFile(file, Date.now());
  const isThere = explain(file, () => replaceDatabase(file, aside));
  if (isThere && keepsOld)
    logger.warn({ file: aside }, 'the database that was here before is kept in this file');
  else removeAside(aside);
}

/**
 * Checks that a copy, already verified to be as uploaded, is what the catalogue says.
 *
 * @throws {StartError} if it is not
 */
function checkCopy(target: string, { id, logId, generation, sequence }: Snapshot): void {
  const state = lookAtReplica(target);
  if (state?.logId === logId && state.generation === generation && state.sequence === sequence) return;
  throw new StartError(
    `The snapshot ${id} is not what the catalogue says: run \`cluster snapshot\` on another node.`,
  );
}

function unusable(error: Error): string {
  return error instanceof StreamGone
    ? `NATS has lost the log: ${error.message}. If the servers cannot be restored, run \`cluster reseed\` on the node whose ` +
        'database is the newest.'
    : sentence(`NATS cannot report the state of the stream: ${error.message}`);
}
