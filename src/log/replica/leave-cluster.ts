import type { Database } from 'better-sqlite3';

/**
 * Turns a database that was part of a cluster into a log of its own, in one transaction. Gives it a new `logId`, so
 * that no cluster takes it for one of its replicas, and a new epoch, so that devices that have seen more of the cluster
 * learn of the gap. Clears its sequence. Does nothing if its order was local.
 *
 * @param epoch the new epoch
 */
export function leaveCluster(database: Database, epoch: string): void {
  database
    .transaction(() => {
      const left = database
        .prepare<[], number>(
          "UPDATE position SET logId = lower(hex(randomblob(8))), sequence = NULL, generation = NULL, mark = '', digest = '' " +
            'WHERE sequence IS NOT NULL RETURNING head',
        )
        .pluck()
        .get();
      if (left === undefined) return;
      database.prepare('DELETE FROM proposers').run();
      database
        .prepare(
          'INSERT INTO epochs (firstId, epoch) VALUES (?, ?) ON CONFLICT DO UPDATE SET epoch = excluded.epoch',
        )
        .run(left + 1, epoch);
    })
    .immediate();
}
