import { newEpoch } from '../log/cursor.ts';
import { entryOf } from '../log/entry.ts';
import { isAtBranch } from '../log/replica/join-cluster.ts';
import type { ReplicaState } from '../log/replica/replica-file.ts';
import { StartError } from '../start-error.ts';
import type { LogRecord } from './catalogue.ts';
import type { JetStreamLink } from './jetstream-link.ts';
import { makeGeneration } from './generation.ts';
import { makeSnapshot, type SnapshotSurroundings } from './snapshot.ts';
import { newestOf } from './snapshot-list.ts';

/** The database whose content is to go on. This process holds its lock. */
export interface ReseedOptions {
  /** Without links. */
  readonly file: string;
  readonly state: ReplicaState;
  readonly record: LogRecord;
  /** How many servers have each entry. */
  readonly replicas: number;
}

/** The surroundings of `reseed`. */
export interface ReseedSurroundings extends Omit<SnapshotSurroundings, 'connected'> {
  readonly connected: JetStreamLink;
}

/**
 * Returns the record that makes the content of a database the beginning of the next generation.
 *
 * @returns the same record if that was done before
 * @throws {StartError} if the database is not a replica of the generation that is followed
 */
export function recordAfter(record: LogRecord, state: ReplicaState | undefined): LogRecord {
  if (state === undefined) {
    throw new StartError('There is no database: set DATABASE to that of the node whose content is to go on.');
  }
  const { logId, generation, sequence, digest } = state;
  if (isAtBranch(state, record)) return record;
  if (logId !== record.logId || sequence === null) {
    throw new StartError(
      `DATABASE has the log ${logId}, and the cluster has ${record.logId}: name that of a node.`,
    );
  }
  if (generation !== record.generation) {
    throw new StartError(
      `DATABASE has generation ${String(generation)} of the log, and the cluster follows ${record.generation}: name the database ` +
        'of a node that followed that one.',
    );
  }
  return { ...record, generation: generation + 1, branch: { sequence, digest } };
}

/**
 * Makes the content of a database the beginning of the next generation: makes its stream, with a new epoch, and a first
 * snapshot, then moves the record to it. It can be repeated after it was interrupted. The old stream stays.
 *
 * @returns the new record
 * @throws {StartError} if this database cannot go on; {Error} if NATS refuses something
 */
export async function reseed(
  surroundings: ReseedSurroundings,
  { file, state, record, replicas }: ReseedOptions,
): Promise<LogRecord> {
  const { connected, catalogue, nats } = surroundings;
  const after = recordAfter(record, state);
  if (after === record) return record;
  const { logId, generation, branch } = after;
  const made = {
    prefix: nats.stream,
    logId,
    generation,
    replicas,
    ...(branch === undefined ? {} : { branch }),
  };
  await makeGeneration(connected, made, `reseed-${generation}`, [
    entryOf({ kind: 'epoch', epoch: newEpoch() }),
  ]);
  if (newestOf(await catalogue.snapshots(), generation) === undefined) {
    const source = { file, logId, generation: record.generation, move: { generation } };
    await makeSnapshot(surroundings, source);
  }
  await catalogue.move(record, after);
  return after;
}
