/** A log's database without the service around it: for tests of what is done in the writer's thread. */
import { join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { type AppendResult, type EntryBody, entryOf, type Outcome } from '../../src/log/entry.ts';
import { prepareApply } from '../../src/log/replica/apply.ts';
import { openForWriting } from '../../src/log/replica/database.ts';
import { asEphemeral, type Draft, type EphemeralMessage, type Message, withId } from '../../src/message.ts';
import { newFolder, undoAtEnd } from './server.ts';

/** The time of an entry of which a test does not say it, in milliseconds since the Unix epoch. */
export const TIME = 1_000_000;

/**
 * Returns a new database with its schema; `cleanUp` closes it. SQLite knows files of its process by their inode. A database
 * that stayed open after its file was removed would share locks and shared memory with a new file that gets its inode.
 */
export function newDatabase(): Database {
  const database = openForWriting(join(newFolder(), 'tidings.sqlite'));
  undoAtEnd(() => database.close());
  return database;
}

/** A draft of which a test names what matters to it. */
export function draft(fields: Partial<Draft> = {}): Draft {
  return {
    sender: 'alice',
    recipient: 'bob',
    type: 'message',
    content: '"hi"',
    idempotencyKey: null,
    ttl: null,
    background: 0,
    ...fields,
  };
}

/** The message that such a draft becomes. */
export function message(id: number, fields: Partial<Draft> = {}): Message {
  return withId(id, { time: TIME, createdAt: TIME }, draft(fields));
}

/** The message that is not stored, of such a draft. */
export function ephemeral(fields: Partial<Draft> = {}): EphemeralMessage {
  return asEphemeral(draft(fields), TIME);
}

/** Applies one entry at a time, and returns its outcome. */
export type ApplyOne = (entry: EntryBody, time?: number) => Outcome;

/**
 * Prepares applying single entries, each in a transaction of its own.
 *
 * @param removed is told of each message that a purge removes
 */
export function prepareEntries(
  database: Database,
  removed?: (id: number, recipient: string) => void,
): ApplyOne {
  const apply = prepareApply(database, { removed });
  const applyOne = database.transaction((entry: EntryBody, time: number) =>
    apply([{ entry: entryOf(entry), time }]),
  );
  return (entry, time = TIME) => applyOne(entry, time)[0] as Outcome;
}

/** Appends batches as one entry at a time, and returns the outcome of each. */
export type AppendBatches = (batches: readonly (readonly Draft[])[], time?: number) => AppendResult[];

/** Prepares appending as the writer does it. */
export function prepareAppends(database: Database): AppendBatches {
  const apply = prepareEntries(database);
  return (batches, time) => {
    const outcome = apply({ kind: 'append', batches }, time);
    return outcome.kind === 'append' ? [...outcome.results] : [];
  };
}

/** A draft with times of its own, as rows have them that were written by a clock which was wrong. */
export type DatedDraft = Partial<Draft> & Partial<Pick<Message, 'createdAt' | 'expiresAt'>>;

/** Stores messages in one batch, and dates them by hand: `createdAt` may run against the ids, as it once could. */
export function storeDated(database: Database, drafts: readonly DatedDraft[]): void {
  const [ids] = prepareAppends(database)([drafts.map(draft)]);
  const date = database.prepare('UPDATE messages SET createdAt = ?, expiresAt = ? WHERE id = ?');
  for (const [index, { createdAt = TIME, expiresAt = null }] of drafts.entries())
    date.run(createdAt, expiresAt, (ids as readonly number[])[index]);
}
