/** Copies a replica into a single file, even while a service writes to it. */
import { existsSync, rmSync, statSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { StartError } from '../../start-error.ts';
import { openForReading } from './database.ts';
import { roomFor } from './disk-space.ts';
import { type Lock, lockDatabase } from './lock.ts';
import { knownSchema, schemaOf } from './migrations.ts';
import { type ReplicaState, stateOf } from './replica-file.ts';

/** A copy: the state of its replica, and the version of its schema. */
export interface ReplicaCopy {
  readonly state: ReplicaState;
  readonly schema: number;
  /** Its size in bytes. */
  readonly bytes: number;
}

/** Returns the name of the copy of a database. There is only one at a time. */
export function copyFile(file: string): string {
  return `${file}-snapshot`;
}

/**
 * Locks the name of the copy for this process, and removes the files of an interrupted copy.
 *
 * @throws {StartError} if another process is making a copy
 */
export function lockCopy(file: string): Lock {
  let lock: Lock;
  try {
    lock = lockDatabase(copyFile(file));
  } catch (error) {
    throw new StartError(`A snapshot of ${file} is already being made, or cannot be started.`, {
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

/** Removes a copy left by a killed process. Does nothing if there is none, or another process is making it. */
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

/** Returns how many bytes the disk of a database lacks for a copy of it; 0 or less if there is room. */
export function roomMissing(file: string): number {
  const wal = statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  return roomFor(file, statSync(file).size + wal);
}

/**
 * Copies a replica into `copyFile`, as of one moment, and checks the copy. Data written meanwhile stays in the
 * write-ahead log until the copy is complete.
 *
 * @param move if given, the copy becomes the beginning of this generation of the log
 * @throws {StartError} if the database has another schema, or the copy is damaged; SQLite's error if the copy fails
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
      throw new StartError(`${file} is damaged (${String(found)}): no snapshot was made of it.`);
    return { state: stateOf(copy), schema: schemaOf(copy), bytes: statSync(target).size };
  } finally {
    copy.close();
  }
}
