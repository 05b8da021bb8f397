import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { StartError } from '../start-error.ts';
import { explain } from './database.ts';
import { makeFolder } from './place.ts';

/**
 * Two that take the lock in the same instant hinder each other: both wait a little and one gets it. Who holds it keeps
 * it for longer.
 */
const BUSY_MILLISECONDS = 500;

/** A held lock. */
export interface Lock {
  release(): void;
}

/**
 * Takes the database for this process alone, by an exclusive transaction on a lock database beside it: the system
 * frees it when the process ends, however it ends. SQLite's own lock on the log would keep readers (backups, a person
 * with the shell) out as well.
 *
 * @param file without links, so that two names of one file are one log
 * @throws {StartError} if another process holds it
 */
export function lockDatabase(file: string): Lock {
  const lockFile = `${file}-lock`;
  return explain(lockFile, () => {
    makeFolder(dirname(lockFile));
    const database = new Sqlite(lockFile, { timeout: BUSY_MILLISECONDS });
    try {
      // Without a file for its journal, for which a full disk has no room.
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
