import { randomBytes } from 'node:crypto';
import { lstatSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { explain } from '../../files/explain.ts';
import { sync } from '../../files/sync.ts';
import { StartError } from '../../start-error.ts';
import { runDatabaseJob } from './database-job.ts';
import { checkIsDatabase, type DatabaseLook } from './database-look.ts';
import { type Lock, lockDatabase, lockFileOf } from './lock.ts';
import { roomFor } from './disk-space.ts';

/** A finished backup. */
export interface Backup extends DatabaseLook {
  /** Its size in bytes. */
  readonly bytes: number;
}

/**
 * Copies a database into a new file, as of one moment, even while a service writes to it, and checks the copy. The file
 * gets its name when it is complete and on disk. Until then it is beside the target, as `…-unfinished-` and a random
 * word. The next backup removes the files that a killed one has left. Each backup uses a new name, since the copying
 * process may outlive a killed backup for a while, and would remove the journal of the next one.
 *
 * @param file the database, without links
 * @param target the new file; its folder must exist
 * @param takeAlong puts the files that belong to the backup beside it, before it gets its name
 * @throws {StartError} if the target exists, there is no room, or the copy is damaged
 */
export async function backUp(file: string, target: string, takeAlong: () => void): Promise<Backup> {
  explain(file, () => checkIsDatabase(file));
  if (statSync(dirname(target), { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new StartError(`${dirname(target)} is not a folder: make it first.`);
  }
  const unfinished = `${target}-unfinished-${randomBytes(4).toString('hex')}`;
  const lock = lockTarget(target);
  try {
    refuseExisting(target);
    removeUnfinished(target);
    checkRoom(file, target);
    const look = await runDatabaseJob({ file, target: unfinished });
    if (look.integrity !== 'ok') {
      throw new StartError(`${file} is damaged (${look.integrity}). No backup was made of it; restore one.`);
    }
    return explain(target, () => {
      sync(unfinished);
      takeAlong();
      refuseExisting(target);
      renameSync(unfinished, target);
      sync(dirname(target));
      return { ...look, bytes: statSync(target).size };
    });
  } finally {
    removeUnfinished(target);
    rmSync(lockFileOf(lockName(target)), { force: true });
    lock.release();
  }
}

function lockTarget(target: string): Lock {
  try {
    return lockDatabase(lockName(target));
  } catch (error) {
    if (unfinishedOf(target).length > 0) {
      throw new StartError(`${target} is being written by another backup.`, { cause: error });
    }
    throw error;
  }
}

function lockName(target: string): string {
  return `${target}-unfinished`;
}

function refuseExisting(target: string): void {
  if (lstatSync(target, { throwIfNoEntry: false }) === undefined) return;
  throw new StartError(`${target} exists already: name a new file, or move that one away.`);
}

/** Returns the files of unfinished backups. */
function unfinishedOf(target: string): string[] {
  const prefix = `${basename(target)}-unfinished-`;
  return readdirSync(dirname(target))
    .filter((name) => name.startsWith(prefix) && /^[0-9a-f]{8}(-journal)?$/.test(name.slice(prefix.length)))
    .map((name) => join(dirname(target), name));
}

function removeUnfinished(target: string): void {
  for (const file of unfinishedOf(target)) rmSync(file, { force: true });
}

function checkRoom(file: string, target: string): void {
  const wal = statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  const missing = roomFor(target, statSync(file).size + wal);
  if (missing > 0) {
    throw new StartError(`The disk of ${target} lacks ${Math.ceil(missing / 1024 / 1024)} MiB for a copy.`);
  }
}
