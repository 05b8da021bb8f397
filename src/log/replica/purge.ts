import type { Database } from 'better-sqlite3';
import { counts, COUNTS_COLUMNS, isExpired, type Message, READ_TYPE } from '../../message.ts';
import type { Purge, PurgeOutcome } from '../entry.ts';

type Row = Parameters<typeof counts>[0] &
  Pick<Message, 'id' | 'sender' | 'recipient' | 'type' | 'createdAt' | 'expiresAt'>;

type MessagePurge = Exclude<Purge, { readonly by: 'proposers' }>;

/**
 * Applies a purge. The result depends only on its bound and the rows. Call it in a transaction. The newest read marker
 * of a pair is always kept.
 *
 * @param logTime milliseconds since the Unix epoch; only messages due by then are removed
 */
export type ApplyPurge = (purge: Purge, logTime: number) => PurgeOutcome;

/**
 * Prepares purging, on a connection that may write.
 *
 * @param removed called for each message that is removed
 */
export function preparePurge(
  database: Database,
  removed?: (id: number, recipient: string) => void,
): ApplyPurge {
  const columns = `SELECT id, sender, recipient, ${COUNTS_COLUMNS}, createdAt, expiresAt FROM messages`;
  // Read markers have no ttl. If one had, and it was current, it would be kept and so found again and again.
  const expired = database.prepare<[number, number, number, number], Row>(
    `${columns} WHERE expiresAt > ? AND expiresAt <= ? AND id >= ? AND type <> '${READ_TYPE}' ORDER BY expiresAt, id LIMIT ?`,
  );
  const oldest = database.prepare<[number, number], Row>(`${columns} WHERE id > ? ORDER BY id LIMIT ?`);
  const received = database.prepare<[string, number, number, number], Row>(
    `${columns} WHERE recipient = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?`,
  );
  const isStandingMarker = database
    .prepare<[string, string, number]>('SELECT 1 FROM readMarkers WHERE reader = ? AND peer = ? AND id = ?')
    .pluck();
  const remove = database.prepare('DELETE FROM messages WHERE id = ?');
  const removePair = database.prepare(
    'DELETE FROM pairMessages WHERE recipient = ? AND sender = ? AND counts = ? AND id = ?',
  );
  const lastOfPair = database.prepare<[string, string], { id: number; expiresAt: number | null }>(
    'SELECT id, expiresAt FROM pairMessages WHERE recipient = ? AND sender = ? AND counts = 1 ORDER BY id DESC LIMIT 1',
  );
  const removeConversation = database.prepare(
    'DELETE FROM conversations WHERE address = ? AND peer = ? AND lastId = ?',
  );
  const moveConversation = database.prepare(
    'UPDATE conversations SET lastId = ?, expiresAt = ? WHERE address = ? AND peer = ? AND lastId = ?',
  );
  const note = database.prepare(
    'INSERT INTO purged (address, through) VALUES (?, ?) ' +
      'ON CONFLICT DO UPDATE SET through = max(through, excluded.through)',
  );

  /** Updates a conversation that lost its newest message: it shows the one before, or is removed if there is none. */
  const settleConversation = ({ id, sender, recipient }: Row): void => {
    const received = lastOfPair.get(recipient, sender);
    const sent = lastOfPair.get(sender, recipient);
    const last = (received?.id ?? 0) > (sent?.id ?? 0) ? received : sent;
    for (const [address, peer] of [
      [sender, recipient],
      [recipient, sender],
    ] as const) {
      if (last === undefined) removeConversation.run(address, peer, id);
      else moveConversation.run(last.id, last.expiresAt, address, peer, id);
    }
  };

  const forget = database.prepare<[number, number]>(
    'DELETE FROM proposers WHERE proposer IN (SELECT proposer FROM proposers WHERE time < ? ORDER BY time, proposer LIMIT ?)',
  );

  const candidates = (purge: MessagePurge, now: number): Row[] => {
    switch (purge.by) {
      case 'expiry':
        return expired.all(purge.expiredAfter ?? -Infinity, now, purge.from ?? 0, purge.limit);
      case 'age':
        return oldest.all(purge.after, purge.limit);
      case 'count':
        return received.all(purge.recipient, purge.after, purge.through, purge.limit);
    }
  };

  return (purge, logTime) => {
    const now = Math.min(purge.now, logTime);
    if (purge.by === 'proposers') {
      const { changes } = forget.run(now - purge.age, purge.limit);
      return { kind: 'purge', messages: 0, through: 0, more: changes === purge.limit };
    }
    const rows = candidates(purge, now);
    const isTooYoung = ({ createdAt }: Row): boolean => purge.by === 'age' && createdAt >= now - purge.age;
    const isKept = (row: Row): boolean =>
      isTooYoung(row) ||
      (row.type === READ_TYPE && isStandingMarker.get(row.sender, row.recipient, row.id) !== undefined);
    // A row that a wrong clock dated into the future is kept, but does not stop the purge of the rows after it.
    const end = rows.findIndex((row) => isTooYoung(row) && row.createdAt <= now);
    const covered = end === -1 ? rows : rows.slice(0, end);
    const gone = covered.filter((row) => !isKept(row));
    const through = new Map<string, number>();
    for (const row of gone) {
      remove.run(row.id);
      removed?.(row.id, row.recipient);
      const counted = counts(row);
      const projected = removePair.run(row.recipient, row.sender, counted ? 1 : 0, row.id).changes > 0;
      if (projected && counted) settleConversation(row);
      // An expired message leaves no gap, whichever bound comes first.
      if (isExpired(row, now)) continue;
      for (const address of [row.sender, row.recipient, '*']) {
        through.set(address, Math.max(through.get(address) ?? 0, row.id));
      }
    }
    for (const [address, id] of through) note.run(address, id);
    return {
      kind: 'purge',
      messages: gone.length,
      through: covered.at(-1)?.id ?? 0,
      more: end === -1 && rows.length === purge.limit,
    };
  };
}
