import type { Database } from 'better-sqlite3';
import { counts, isExpired, type Message, READ_TYPE } from '../message.ts';

/** Messages to take from the log: all that one bound covers, the oldest first. */
type PurgeEntry =
  /** Past their `expiresAt`; only of those from the id `from` on that expired after `expiredAfter`, if it is given. */
  | (Bound & { readonly kind: 'expired'; readonly from?: number; readonly expiredAfter?: number })
  /** Of any recipient, from `after` on, up to the first that was created at `createdBefore` or later. */
  | (Bound & { readonly kind: 'aged'; readonly after: number; readonly createdBefore: number })
  /** Of one recipient, from `after` on, through `through`. */
  | (Bound & {
      readonly kind: 'surplus';
      readonly recipient: string;
      readonly after: number;
      readonly through: number;
    });

interface Bound {
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** At most this many messages are looked at. */
  readonly limit: number;
}

/** What a purge did. */
interface Purged {
  /** How many messages are gone. */
  readonly messages: number;
  /** The highest id looked at: go on after it. */
  readonly through: number;
  /** Whether there may be more under the same bound. */
  readonly more: boolean;
}

type Row = Pick<Message, 'id' | 'sender' | 'recipient' | 'type' | 'createdAt' | 'expiresAt' | 'background'>;

/**
 * Applies a purge to the store: a plain function of the entry and what is stored. Call it in a transaction. The newest
 * read marker of a pair stays, whatever the bound.
 */
export type Purge = (entry: PurgeEntry) => Purged;

/**
 * Prepares purging on a connection that may write.
 *
 * @param removed is told of each message that is removed
 */
export function preparePurge(database: Database, removed?: (id: number, recipient: string) => void): Purge {
  const columns = 'SELECT id, sender, recipient, type, createdAt, expiresAt, background FROM messages';
  // Read markers have no ttl. If one had, it might have to stay, and would be found again and again.
  const expired = database.prepare<[number, number, number, number], Row>(
    `${columns} WHERE expiresAt > ? AND expiresAt <= ? AND id >= ? AND type <> '${READ_TYPE}' ORDER BY expiresAt LIMIT ?`,
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

  /** The conversation whose newest message went shows the one before, or is no more. */
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

  const candidates = (entry: PurgeEntry): Row[] => {
    if (entry.kind === 'expired') {
      const { expiredAfter = -Infinity, from = 0, now, limit } = entry;
      return expired.all(expiredAfter, now, from, limit);
    }
    if (entry.kind === 'aged') return oldest.all(entry.after, entry.limit);
    return received.all(entry.recipient, entry.after, entry.through, entry.limit);
  };

  return (entry) => {
    const rows = candidates(entry);
    // A row from the future is of a clock that was wrong: those behind it are not to be kept for it.
    const isYoung = ({ createdAt }: Row): boolean =>
      entry.kind === 'aged' && createdAt >= entry.createdBefore && createdAt <= entry.now;
    const isKept = ({ id, sender, recipient, type, createdAt }: Row): boolean =>
      (entry.kind === 'aged' && createdAt >= entry.createdBefore) ||
      (type === READ_TYPE && isStandingMarker.get(sender, recipient, id) !== undefined);
    const young = rows.findIndex(isYoung);
    const covered = young === -1 ? rows : rows.slice(0, young);
    const gone = covered.filter((row) => !isKept(row));
    const through = new Map<string, number>();
    for (const row of gone) {
      remove.run(row.id);
      removed?.(row.id, row.recipient);
      const counted = counts(row);
      const projected = removePair.run(row.recipient, row.sender, counted ? 1 : 0, row.id).changes > 0;
      if (projected && counted) settleConversation(row);
      // Expiry is never a gap, also where another bound comes first.
      if (isExpired(row, entry.now)) continue;
      for (const address of [row.sender, row.recipient, '*']) {
        through.set(address, Math.max(through.get(address) ?? 0, row.id));
      }
    }
    for (const [address, id] of through) note.run(address, id);
    return {
      messages: gone.length,
      through: covered.at(-1)?.id ?? 0,
      more: young === -1 && rows.length === entry.limit,
    };
  };
}
