import {
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  readdirSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { explain } from '../../files/explain.ts';
import { sync } from '../../files/sync.ts';
import { StartError } from '../../start-error.ts';
import { checkIsDatabase, lookAt, type DatabaseLook } from './database-look.ts';
import { isLocked, lockDatabase, lockFileOf } from './lock.ts';
import { checkPlace } from './place.ts';
import { roomFor } from './disk-space.ts';
import { asideFile } from './replica-file.ts';

/** A restored backup. */
export interface Restored extends DatabaseLook {
  /** The file that the previous database was moved to; `undefined` if there was none. */
  readonly aside: string | undefined;
}

/** The options of a restore. */
export interface RestoreOptions {
  /** The time to put into the name that the current database is moved to, in milliseconds since the Unix epoch. */
  readonly time: number;
  /**
   * Restores the files that belong to the backup, before the backup takes the database's name.
   *
   * @param aside the file that the current database will be moved to; `undefined` if there is none
   */
  readonly takeAlong: (aside: string | undefined) => void;
}

/**
 * Replaces a database by a backup. The backup is copied and checked first, and then takes the name in one step.
 * Whenever the process is killed, one of the two databases is in place and whole, and repeating the call finishes the
 * restore.
 *
 * @param file the database, without links; no service may have it open
 * @param backup without links. If a write-ahead log is beside it, its contents are restored too
 * @throws {StartError} if a service is running, or the backup is damaged; then nothing was replaced
 */
export function restoreDatabase(file: string, backup: string, { time, takeAlong }: RestoreOptions): Restored {
  explain(backup, () => {
    checkIsDatabase(backup);
    refuseUsed(file, backup);
  });
  const lock = lockDatabase(file);
  try {
    return explain(file, () => {
      removeInterrupted(file);
      checkPlace(file);
      const owner = ownerOf(file);
      const look = explain(restoringFile(file), () => copyChecked(backup, file));
      give(restoringFile(file), owner);
      give(lockFileOf(file), owner);
      sync(restoringFile(file));
      const aside = existsSync(file) ? newAside(file, time) : undefined;
      takeAlong(aside);
      if (aside !== undefined) putAside(file, aside);
      for (const part of ['-wal', '-shm']) rmSync(file + part, { force: true });
      renameSync(restoringFile(file), file);
      sync(dirname(file));
      return { ...look, aside };
    });
  } finally {
    removeRestoring(file);
    lock.release();
  }
}

/** Gives a file to the owner of another file. Does nothing unless this process is run by root. */
export function give(file: string, { uid, gid }: Pick<Stats, 'uid' | 'gid'>): void {
  if (process.getuid?.() === 0) chownSync(file, uid, gid);
}

/** Returns the owner of a database; if it does not exist, of the nearest existing folder. */
export function ownerOf(file: string): Stats {
  return statSync(file, { throwIfNoEntry: false }) ?? ownerOf(dirname(file));
}

function refuseUsed(file: string, backup: string): void {
  const [from, to] = [backup, file].map((each) => statSync(each, { throwIfNoEntry: false }));
  if (from?.ino === to?.ino && from?.dev === to?.dev) {
    throw new StartError(`${backup} is the database itself: name a backup of it.`);
  }
  if (isLocked(backup)) {
    throw new StartError(
      `${backup} is the database of a running service: make a backup of it, and restore that.`,
    );
  }
}

/**
 * Copies a backup into `restoringFile`, as a single file, and checks it there.
 *
 * @throws {StartError} if it is damaged
 */
function copyChecked(backup: string, file: string): DatabaseLook {
  const restoring = restoringFile(file);
  const parts = ['', '-wal'].filter((part) => existsSync(backup + part));
  const bytes = parts.reduce((sum, part) => sum + statSync(backup + part).size, 0);
  const missing = roomFor(file, bytes);
  if (missing > 0) {
    throw new StartError(`The disk of ${file} lacks ${Math.ceil(missing / 1024 / 1024)} MiB for the backup.`);
  }
  for (const part of parts) {
    copyFileSync(backup + part, restoring + part, constants.COPYFILE_FICLONE);
    chmodSync(restoring + part, 0o600);
  }
  const database = new Sqlite(restoring, { fileMustExist: true });
  try {
    const look = lookAt(database, backup);
    if (look.integrity !== 'ok') {
      throw new StartError(
        `${backup} is damaged (${look.integrity}). Nothing was replaced; take another backup.`,
      );
    }
    database.pragma('journal_mode = DELETE');
    return look;
  } catch (error) {
    if (!/^SQLITE_(CORRUPT|NOTADB)/.test(String((error as { code?: unknown }).code))) throw error;
    const why = (error as Error).message;
    throw new StartError(`${backup} is damaged (${why}). Nothing was replaced; take another backup.`, {
      cause: error,
    });
  } finally {
    database.close();
  }
}

/** Gives the current database a second name. It also keeps its own until the backup takes that. */
function putAside(file: string, aside: string): void {
  checkpoint(file);
  for (const part of ['', '-wal'].filter((each) => existsSync(file + each))) {
    try {
      linkSync(file + part, aside + part);
    } catch {
      // The file system has no hard links.
      copyFileSync(file + part, aside + part, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
      give(aside + part, statSync(file + part));
    }
  }
}

/**
 * Checkpoints the write-ahead log into the database. A damaged database keeps its write-ahead log, and is moved away
 * with it.
 */
function checkpoint(file: string): void {
  let database;
  try {
    database = new Sqlite(file, { fileMustExist: true });
    database.pragma('wal_checkpoint(TRUNCATE)');
  } catch {
    return;
  } finally {
    database?.close();
  }
}

function newAside(file: string, time: number): string {
  const aside = asideFile(file, time);
  return existsSync(aside) ? newAside(file, time + 1000) : aside;
}

/** Removes what a killed restore has left: its copy, and a second name of the current database. */
function removeInterrupted(file: string): void {
  removeRestoring(file);
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined || found.nlink === 1) return;
  for (const name of readdirSync(dirname(file))) {
    const other = join(dirname(file), name);
    const isAside = name.startsWith(`${basename(file)}-before-`);
    if (isAside && statSync(other).ino === found.ino) rmSync(other);
  }
}

function restoringFile(file: string): string {
  return `${file}-restoring`;
}

function removeRestoring(file: string): void {
  for (const part of ['', '-journal', '-wal', '-shm']) rmSync(restoringFile(file) + part, { force: true });
}
