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

/** The database whose content the log should continue with. This process holds its lock. */
export interface ReseedOptions {
  /** The path of the database, without links. */
  readonly file: string;
  readonly state: ReplicaState;
  readonly record: LogRecord;
  /** The number of servers that store each entry. */
  readonly replicas: number;
}

/** The surroundings of `reseed`. */
export interface ReseedSurroundings extends Omit<SnapshotSurroundings, 'connected'> {
  readonly connected: JetStreamLink;
}

/**
 * Returns the record that makes the content of a database the beginning of the next generation.
 *
 * @returns the same record if that has already been done
 * @throws {StartError} if the database is not a replica of the current generation
 */
export function recordAfter(record: LogRecord, state: ReplicaState | undefined): LogRecord {
  if (state === undefined) {
    throw new StartError(
      'There is no database: set DATABASE to that of the node whose content the log should continue with.',
    );
  }
  const { logId, generation, sequence, digest } = state;
  if (isAtBranch(state, record)) return record;
  if (logId !== record.logId || sequence === null) {
    throw new StartError(
      `DATABASE has the log ${logId}, and the cluster has ${record.logId}: set DATABASE to that of a node.`,
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
 * Makes the content of a database the beginning of the next generation: creates its stream, with a new epoch, and a
 * first snapshot, and then moves the record to it. It can be repeated after an interruption. The old stream stays.
 *
 * @returns the new record
 * @throws {StartError} if the log cannot continue with this database; {Error} if NATS refuses something
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
