import { existsSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { StartError } from '../start-error.ts';
import { explain, makeFolder } from './database.ts';

/** A held lock. */
export interface Lock {
  release(): void;
}

/**
 * Takes the database for this process alone, by an exclusive transaction on a lock database beside it: the system
 * frees it when the process ends, however it ends. SQLite's own lock on the log would keep readers (backups, a person
 * with the shell) out as well.
 *
 * @throws {StartError} where another process holds it
 */
export function lockDatabase(file: string): Lock {
  // Two names of one file are one log.
  const lockFile = `${existsSync(file) ? realpathSync(file) : file}-lock`;
  return explain(lockFile, () => {
    makeFolder(dirname(lockFile));
    const database = new Sqlite(lockFile, { timeout: 0 });
    try {
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
