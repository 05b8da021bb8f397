/** A copy of a replica in one file, made beside a service that writes. */
import { existsSync, rmSync, statSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { StartError } from '../../start-error.ts';
import { openForReading } from './database.ts';
import { roomFor } from './disk-space.ts';
import { type Lock, lockDatabase } from './lock.ts';
import { knownSchema, schemaOf } from './migrations.ts';
import { type ReplicaState, stateOf } from './replica-file.ts';

/** A copy: how the replica in it stands, and the version of its schema. */
export interface ReplicaCopy {
  readonly state: ReplicaState;
  readonly schema: number;
  /** Its size in bytes. */
  readonly bytes: number;
}

/** Returns the name of the copy of a database. There is one at a time. */
export function copyFile(file: string): string {
  return `${file}-snapshot`;
}

/**
 * Takes the name of the copy for this process, and removes what an interrupted copy has left.
 *
 * @throws {StartError} if another process is making a copy
 */
export function lockCopy(file: string): Lock {
  let lock: Lock;
  try {
    lock = lockDatabase(copyFile(file));
  } catch (error) {
    throw new StartError(`A snapshot of ${file} is being made already, or cannot be begun.`, {
      cause: error,
    });
  }
  removeCopy(file);
  return lock;
}

/** Removes the copy of a database. Does nothing if there is none. */
export function removeCopy(file: string): void {
  for (const part of ['', '-journal']) rmSync(copyFile(file) + part, { force: true });
}

/** Removes the copy that a killed process has left. Does nothing if there is none, or another process is making it. */
export function removeAbandonedCopy(file: string): void {
  if (!['', '-journal'].some((part) => existsSync(copyFile(file) + part))) return;
  let lock: Lock;
  try {
    lock = lockCopy(file);
  } catch {
    return;
  }
  lock.release();
}

/** Returns how many bytes are missing on the disk of a database for a copy of it; 0 or less if there is room. */
export function roomMissing(file: string): number {
  const wal = statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  return roomFor(file, statSync(file).size + wal);
}

/**
 * Copies a replica into `copyFile`, as it is at one moment, and checks the copy. What is written meanwhile stays in the
 * write-ahead log until the copy is complete.
 *
 * @param move the copy becomes the beginning of another generation of the log
 * @throws {StartError} if the database has another schema, or the copy is damaged; what SQLite throws otherwise
 */
export function copyReplica(file: string, move: { readonly generation: number } | undefined): ReplicaCopy {
  const target = copyFile(file);
  const reader = openForReading(file);
  try {
    const version = schemaOf(reader);
    if (version !== knownSchema()) {
      throw new StartError(`${file} has schema version ${version}: start the service with it once.`);
    }
    reader.prepare('VACUUM INTO ?').run(target);
  } finally {
    reader.close();
  }
  const copy = new Sqlite(target, { fileMustExist: true });
  try {
    if (move !== undefined) {
      copy.prepare('UPDATE position SET generation = ?, sequence = 0').run(move.generation);
    }
    const found = copy.pragma('quick_check(1)', { simple: true });
    if (found !== 'ok')
      throw new StartError(`${file} is damaged (${String(found)}): no snapshot is made of it.`);
    return { state: stateOf(copy), schema: schemaOf(copy), bytes: statSync(target).size };
  } finally {
    copy.close();
  }
}
