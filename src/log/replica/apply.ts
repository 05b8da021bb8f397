import type { Database } from 'better-sqlite3';
import {
  changedSomething,
  DIGEST_EVERY,
  type DigestAt,
  ENTRY_VERSION,
  type EntrySource,
  markOf,
  type OrderedEntry,
  type Outcome,
  UnknownEntry,
} from '../entry.ts';
import { type AppendContext, prepareAppend } from './append.ts';
import { foldDigest } from './digest.ts';
import { nextCreatedAt } from './log-time.ts';
import { preparePurge } from './purge.ts';
import { preparePush } from './push-apply.ts';
import { prepareSettings } from './settings.ts';

/**
 * Applies entries in order. The result depends only on the entries and the rows, not on a clock or on chance, so that
 * replicas that applied the same entries have the same rows. Call it in a transaction.
 *
 * An entry of a stream is applied once: its sequence and its proposer's counter are stored even if it changes nothing.
 * An entry whose content cannot be applied changes nothing, on every replica alike. A failure of the disk rolls back
 * the whole transaction.
 *
 * Log time is stored with entries that change something. In a local order, other entries leave no trace: applying them
 * again would change nothing either.
 *
 * @returns the outcome of each entry, in order
 * @throws {UnknownEntry} if an entry is of a newer version; SQLite's error if the disk fails
 */
export type Apply = (entries: readonly OrderedEntry[]) => Outcome[];

/** Callbacks that are called while entries are applied. The transaction may still be rolled back. */
export interface ApplyListeners {
  /** Called for each message that a purge removes. @param origin the origin of the purge entry */
  readonly removed?: ((id: number, recipient: string, origin: string | undefined) => void) | undefined;
  /** Called with the digest after each entry whose sequence is a multiple of `DIGEST_EVERY`. */
  readonly digested?: ((digest: DigestAt) => void) | undefined;
}

/** The errors of SQLite that are caused by an entry's content, not by the disk, memory or another process. */
const CONTENT_FAULT = /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|RANGE|ERROR)/;

/** The columns of `position` that applying depends on. */
interface PositionRow {
  /** The highest assigned id. */
  head: number;
  /** The last assigned `createdAt`. */
  createdAt: number;
  logTime: number;
  sequence: number | null;
  mark: string;
  digest: string;
}

/** Prepares applying entries, on a connection that may write. */
export function prepareApply(database: Database, { removed, digested }: ApplyListeners = {}): Apply {
  const read = database.prepare<[], PositionRow>(
    'SELECT head, createdAt, logTime, sequence, mark, digest FROM position',
  );
  const write = database.prepare('UPDATE position SET head = ?, createdAt = ?, logTime = ?, sequence = NULL');
  const writeAll = database.prepare(
    'UPDATE position SET head = ?, createdAt = ?, logTime = ?, sequence = ?, mark = ?, digest = ?',
  );
  const lastCounter = database
    .prepare<[string], number>('SELECT counter FROM proposers WHERE proposer = ?')
    .pluck();
  const setCounter = database.prepare(
    'INSERT INTO proposers (proposer, counter, time) VALUES (?, ?, ?) ' +
      'ON CONFLICT DO UPDATE SET counter = excluded.counter, time = excluded.time',
  );
  const firstOfEpoch = database
    .prepare<[string], number>('SELECT firstId FROM epochs WHERE epoch = ?')
    .pluck();
  const beginEpoch = database.prepare(
    'INSERT INTO epochs (firstId, epoch) VALUES (?, ?) ON CONFLICT (firstId) DO UPDATE SET epoch = excluded.epoch',
  );
  const settings = prepareSettings(database);
  const noteRetentionTime = database.prepare('UPDATE position SET retentionTime = ?');
  const append = prepareAppend(database);
  let origin: string | undefined;
  const purge = preparePurge(database, (id, recipient) => removed?.(id, recipient, origin));
  const push = preparePush(database);

  const applyOne = ({ entry, time }: OrderedEntry, position: PositionRow): Outcome => {
    if (entry.v > ENTRY_VERSION) throw new UnknownEntry(entry.v);
    switch (entry.kind) {
      case 'append': {
        const createdAt = nextCreatedAt(time, position.createdAt);
        const context: AppendContext = { head: position.head, time, createdAt };
        const results = append(context, entry.batches);
        if (context.head > position.head) position.createdAt = createdAt;
        position.head = context.head;
        return { kind: 'append', results, createdAt };
      }
      case 'purge':
        origin = entry.origin;
        return (entry.also ?? []).reduce(
          (done, next) => {
            const { messages, through, more } = purge(next, time);
            return { kind: 'purge', messages: done.messages + messages, through, more: done.more || more };
          },
          purge(entry.purge, time),
        );
      case 'push':
        return { kind: 'push', outcomes: push(entry.changes, time, position.head) };
      case 'epoch': {
        // It is already stored if it was proposed again because its first commit was not acknowledged.
        const firstId = firstOfEpoch.get(entry.epoch) ?? position.head + 1;
        beginEpoch.run(firstId, entry.epoch);
        return { kind: 'epoch', firstId };
      }
      case 'settings':
        settings(entry.retention);
        return { kind: 'settings' };
      case 'tick':
        if (entry.retentionTime !== undefined) noteRetentionTime.run(Math.floor(entry.retentionTime));
        return { kind: 'tick' };
      case 'unreadable':
        return { kind: 'nothing', why: entry.why };
    }
  };

  const applyInSavepoint = database.transaction(applyOne);

  /** Returns whether an entry comes after the earlier ones of its proposer. If so, stores its counter. */
  const isInTurn = ({ proposer, counter }: EntrySource, time: number): boolean => {
    if (counter <= (lastCounter.get(proposer) ?? 0)) return false;
    setCounter.run(proposer, counter, time);
    return true;
  };

  const applyOnce = (ordered: OrderedEntry, position: PositionRow): Outcome => {
    const { source, time } = ordered;
    if (source !== undefined && !isInTurn(source, time)) {
      return { kind: 'nothing', why: 'it came twice, or after a later entry of its proposer', late: true };
    }
    const { head, createdAt } = position;
    try {
      return applyInSavepoint(ordered, position);
    } catch (error) {
      if (!isContentFault(error)) throw error;
      Object.assign(position, { head, createdAt });
      return { kind: 'nothing', why: `it cannot be applied: ${(error as Error).message}` };
    }
  };

  const applyFromStream = (ordered: OrderedEntry, sequence: number, position: PositionRow): Outcome => {
    if (position.sequence !== null && sequence <= position.sequence) return { kind: 'applied-before' };
    const outcome = applyOnce(ordered, position);
    position.sequence = sequence;
    position.mark = markOf(ordered);
    position.digest = foldDigest(position.digest, ordered, outcome, position.head);
    if (sequence % DIGEST_EVERY === 0) digested?.({ sequence, digest: position.digest });
    return outcome;
  };

  return (entries) => {
    const position = read.get() as PositionRow;
    const outcomes: Outcome[] = [];
    let changed = false;
    for (const ordered of entries) {
      const { sequence } = ordered;
      const outcome =
        sequence === undefined ? applyOne(ordered, position) : applyFromStream(ordered, sequence, position);
      outcomes.push(outcome);
      if (!changedSomething(outcome)) continue;
      changed = true;
      position.logTime = ordered.time;
    }
    const { head, createdAt, logTime, sequence, mark, digest } = position;
    if (entries.at(-1)?.sequence !== undefined)
      writeAll.run(head, createdAt, logTime, sequence, mark, digest);
    else if (changed) write.run(head, createdAt, logTime);
    return outcomes;
  };
}

/** Returns whether an error is caused by an entry's content, so that no replica can apply it. */
function isContentFault(error: unknown): boolean {
  if (error instanceof UnknownEntry) return false;
  const { code } = error as { code?: unknown };
  return typeof code !== 'string' || !code.startsWith('SQLITE_') || CONTENT_FAULT.test(code);
}
