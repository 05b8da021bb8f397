import Sqlite from 'better-sqlite3';
import { LogUnreadable } from '../message-log.ts';

/**
 * SQLite's error codes for the disk, damage and locks, but not for a wrong statement. SQLite does not distinguish a
 * disk error (EIO) from damage: both are SQLITE_CORRUPT.
 */
const UNREADABLE = /^SQLITE_(IOERR|CORRUPT|CANTOPEN|NOTADB|FULL|READONLY|BUSY|LOCKED|PROTOCOL|NOMEM)/;

/**
 * Runs a read of the database, and turns failures of the disk into `LogUnreadable`.
 *
 * @throws {LogUnreadable} if the database cannot be read or is closed; other errors of `read` unchanged
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
