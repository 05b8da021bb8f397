import type { Database } from 'better-sqlite3';
import { StartError } from '../../start-error.ts';
import { type ReplicaState, stateOf } from './replica-file.ts';

/**
 * Turns the database of a single machine into a replica at the beginning of a cluster's log: its content comes before
 * the first entry. It keeps its `logId`, its epochs and its content. Does nothing if it is already such a replica.
 *
 * If the database is then started as a single machine again, it becomes a different log (`leaveCluster`). So an
 * interrupted `cluster init` is never completed with a database that was used in between.
 *
 * @param generation the first generation of the log
 * @throws {StartError} if it is a replica of a cluster
 */
export function beginCluster(database: Database, generation: number): ReplicaState {
  return database
    .transaction(() => {
      const state = stateOf(database);
      if (state.sequence === 0 && state.generation === generation) return state;
      if (state.sequence !== null) {
        throw new StartError(
          `DATABASE is a replica of the log ${state.logId} of a cluster. Start it once without NATS_URL, which makes it a log of ` +
            'its own, then repeat this.',
        );
      }
      database.prepare('DELETE FROM proposers').run();
      database.prepare("UPDATE position SET generation = ?, sequence = 0, digest = ''").run(generation);
      return stateOf(database);
    })
    .immediate();
}
