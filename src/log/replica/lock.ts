import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { explain } from '../../files/explain.ts';
import { makeFolder } from '../../files/private-file.ts';
import { StartError } from '../../start-error.ts';

/**
 * The time to wait for the lock. Two processes that try to take it at the same instant block each other: both wait a
 * little, and one gets it. A service keeps it for much longer.
 */
const BUSY_MILLISECONDS = 500;

/** A held lock. */
export interface Lock {
  release(): void;
}

/**
 * Returns whether a process holds the lock of a database, as taken by `lockDatabase`. Creates and changes nothing.
 *
 * @param file without links
 * @throws SQLite's error if the lock cannot be read
 */
export function isLocked(file: string): boolean {
  const lockFile = lockFileOf(file);
  if (!existsSync(lockFile)) return false;
  const database = new Sqlite(lockFile, { readonly: true, timeout: 0 });
  try {
    database.prepare('SELECT count(*) FROM sqlite_schema').get();
    return false;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'SQLITE_BUSY') return true;
    throw error;
  } finally {
    database.close();
  }
}

/**
 * Locks the database for this process, with an exclusive transaction on a lock database beside it. The system releases
 * the lock however the process ends. SQLite's own lock on the log would also keep out readers, such as backups and
 * people using the SQLite shell.
 *
 * @param file without links, so that two names of one file count as one log
 * @throws {StartError} if another process holds the lock
 */
export function lockDatabase(file: string): Lock {
  const lockFile = lockFileOf(file);
  return explain(lockFile, () => {
    makeFolder(dirname(lockFile));
    const database = new Sqlite(lockFile, { timeout: BUSY_MILLISECONDS });
    try {
      // A full disk has no room for a journal file.
      database.pragma('journal_mode = MEMORY');
      database.exec('BEGIN EXCLUSIVE');
    } catch (error) {
      database.close();
      if ((error as { code?: unknown }).code === 'SQLITE_BUSY') {
        throw new StartError(
          `${file} is held by another Tidings process. Stop that one, or set DATABASE to another path.`,
        );
      }
      throw error;
    }
    return { release: () => database.close() };
  });
}

/** Returns the path of the lock database of a database. */
export function lockFileOf(file: string): string {
  return `${file}-lock`;
}
