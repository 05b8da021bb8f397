import Sqlite from 'better-sqlite3';
import { LogUnreadable } from './message-log.ts';

/**
 * What SQLite says of the disk, of damage and of locks; not what it says of a wrong statement. It does not tell an error of
 * the disk (EIO) from damage: both are SQLITE_CORRUPT.
 */
const UNREADABLE = /^SQLITE_(IOERR|CORRUPT|CANTOPEN|NOTADB|FULL|READONLY|BUSY|LOCKED|PROTOCOL|NOMEM)/;

/**
 * Runs a read of the database. The disk's failures become those of the log, for all who read.
 *
 * @throws {LogUnreadable} if the database cannot be read, or is closed; what else `read` throws as it is
 */
export function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Sqlite.SqliteError && UNREADABLE.test(error.code)) {
      throw new LogUnreadable('the log cannot be read', { cause: error });
    }
    if ((error as Error).message === 'The database connection is not open') {
      throw new LogUnreadable('the service is shutting down', { cause: error });
    }
    throw error;
  }
}
