import type { Database } from 'better-sqlite3';
import { COUNTS } from '../../message.ts';

/**
 * Advances the projection of pairs and conversations by at most `limit` ids of the log. Call it in a transaction. Does
 * nothing if the projection is up to date.
 *
 * @returns the number of ids that it is still behind
 */
export type Project = (limit: number) => number;

/** Prepares projecting, on a connection that may write. */
export function prepareProjection(database: Database): Project {
  const position = database.prepare<[], { head: number; projected: number }>(
    'SELECT head, projected FROM position',
  );
  const addPairs = database.prepare(
    'INSERT INTO pairMessages (recipient, sender, id, counts, expiresAt) ' +
      `SELECT recipient, sender, id, ${COUNTS}, expiresAt FROM messages WHERE id > ? AND id <= ?`,
  );
  // One row per pair and side, not per message: a burst is mostly between few pairs, so messages are grouped first.
  const addConversations = database.prepare(
    'WITH pairs AS (' +
      // With max(), SQLite takes the other columns from the row with the maximum.
      'SELECT recipient, sender, max(id) AS lastId, expiresAt FROM messages ' +
      `WHERE id > :from AND id <= :through AND ${COUNTS} GROUP BY recipient, sender` +
      ') INSERT INTO conversations (address, peer, lastId, expiresAt) ' +
      'SELECT recipient, sender, lastId, expiresAt FROM pairs ' +
      'UNION ALL SELECT sender, recipient, lastId, expiresAt FROM pairs WHERE true ' +
      'ON CONFLICT DO UPDATE SET lastId = excluded.lastId, expiresAt = excluded.expiresAt ' +
      'WHERE excluded.lastId > lastId',
  );
  const setProjected = database.prepare('UPDATE position SET projected = ?');

  return (limit) => {
    const { head, projected } = position.get() ?? { head: 0, projected: 0 };
    if (projected === head) return 0;
    const through = Math.min(head, projected + limit);
    addPairs.run(projected, through);
    addConversations.run({ from: projected, through });
    setProjected.run(through);
    return head - through;
  };
}
