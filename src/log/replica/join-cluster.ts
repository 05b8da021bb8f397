import type { Database } from 'better-sqlite3';
import { StartError } from '../../start-error.ts';
import { type ReplicaState, stateOf } from './replica-file.ts';

/** The end of a generation: the sequence of its last valid entry, and the digest of all outcomes up to it. */
export interface Branch {
  readonly sequence: number;
  readonly digest: string;
}

/** The log that a database should become a replica of. */
export interface LogToJoin {
  readonly logId: string;
  readonly generation: number;
  /** The end of the previous generation; missing in the first. */
  readonly branch?: Branch;
}

/**
 * Makes an empty database a replica of a cluster's log that applies its entries from the first. A replica that is
 * exactly at the end of the previous generation continues with this one. Does nothing if the database is already a
 * replica of this generation.
 *
 * @throws {StartError} if the database has content of its own, or is a replica of another log or generation
 */
export function joinCluster(database: Database, log: LogToJoin): void {
  const { logId, generation } = log;
  database
    .transaction(() => {
      const state = stateOf(database);
      if (state.logId === logId && state.generation === generation) return;
      if (isAtBranch(state, log)) {
        database.prepare('UPDATE position SET generation = ?, sequence = 0').run(generation);
        return;
      }
      if (state.logId === logId && state.generation !== null) {
        throw new StartError(
          `DATABASE has generation ${state.generation} of this log, and the cluster is at ${generation}: move its files ` +
            'away, so that this node joins with an empty one.',
        );
      }
      if (state.hasContent || state.sequence !== null) {
        throw new StartError(
          `DATABASE has the log ${state.logId}, and the cluster has ${logId}. Move its files away, so that this node joins ` +
            'with an empty one; or make its content the beginning of another cluster with `cluster init` and another NATS_STREAM.',
        );
      }
      database.prepare('DELETE FROM settings').run();
      database.prepare('DELETE FROM epochs').run();
      database
        .prepare('UPDATE position SET logId = ?, generation = ?, sequence = 0, logTime = 0, createdAt = 0')
        .run(logId, generation);
    })
    .immediate();
}

/** Returns whether a replica is exactly at the end of the previous generation. */
export function isAtBranch(
  state: Pick<ReplicaState, 'logId' | 'generation' | 'sequence' | 'digest'>,
  { logId, generation, branch }: LogToJoin,
): boolean {
  return (
    branch !== undefined &&
    state.logId === logId &&
    state.generation === generation - 1 &&
    state.sequence === branch.sequence &&
    state.digest === branch.digest
  );
}
