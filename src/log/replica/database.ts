import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import Sqlite, { type Database } from 'better-sqlite3';
import { explain } from '../../files/explain.ts';
import { makeFile } from '../../files/private-file.ts';
import { realFile } from '../../files/real-file.ts';
import { StartError } from '../../start-error.ts';
import { checkSchema, migrate } from './migrations.ts';
import { checkPlace } from './place.ts';
import { releaseReserve } from './reserve.ts';
import { keepCopy, type UpgradeOptions } from './upgrade-copy.ts';

/** The time that a thread waits for another program's lock before it refuses the request. */
const BUSY_MILLISECONDS = 250;

/** The value of `PRAGMA auto_vacuum` with which pages are returned only on request, by upkeep. */
const INCREMENTAL = 2;

/** The error codes of SQLite and the system for a disk without room for a file that is needed beside the database. */
const NO_ROOM = /^(SQLITE_(FULL|IOERR_(WRITE|SHMSIZE|SHMOPEN)|CANTOPEN)|ENOSPC|EDQUOT|EFBIG)/;

/**
 * Checks a database file without changing anything.
 *
 * Does nothing if the file is missing or empty.
 *
 * @param name any name of the file
 * @throws {StartError} if it is not a database, belongs to another program, has a newer schema or other migrations, or
 *   cannot be read
 */
export function inspect(name: string): void {
  explain(name, () => {
    const file = realFile(name);
    checkPlace(file);
    if (!existsSync(file) || statSync(file).size === 0) return;
    if (!hasSqliteHeader(file)) {
      throw new StartError(
        `${name} is not a SQLite database. Set DATABASE to another path, or move that file away.`,
      );
    }
    // A full disk has no room for the index that readers share. The writer makes room and then checks the schema
    // itself.
    ifThereIsRoom(() => {
      const database = new Sqlite(file, { readonly: true, timeout: BUSY_MILLISECONDS });
      try {
        checkSchema(database, name);
      } finally {
        database.close();
      }
    });
  });
}

/**
 * Opens the database for the one writer. Creates it, with its folder, if it is missing, and applies missing migrations.
 *
 * @param file without links
 * @param upgrade how a copy of a database of an older version is kept before it is migrated; if missing, none is kept
 * @throws {StartError} as `inspect` does, and if the database cannot be written
 */
export function openForWriting(file: string, upgrade?: UpgradeOptions): Database {
  return explain(file, () => {
    checkPlace(file);
    makeFile(file);
    const database = new Sqlite(file, { timeout: BUSY_MILLISECONDS });
    try {
      checkSchema(database, file);
      // Lets upkeep return the pages that purges free. Takes effect only before the first table exists. Setting it
      // again would write to the file, whose modification time names the copy made before a migration.
      if (database.pragma('auto_vacuum', { simple: true }) !== INCREMENTAL)
        database.pragma(`auto_vacuum = ${INCREMENTAL}`);
      database.pragma('journal_mode = WAL');
      // better-sqlite3 is compiled with NORMAL for WAL, and then a power cut loses acknowledged messages.
      database.pragma('synchronous = FULL');
      database.pragma('cache_size = -65536');
      // A long read, such as a backup, lets the write-ahead log grow. Afterwards the file shrinks to this size again.
      database.pragma('journal_size_limit = 67108864');
      if (upgrade !== undefined) keepCopy(database, file, upgrade);
      migrate(database, file);
      // SQLite opens a write-protected file for reading, without an error.
      database.exec('BEGIN IMMEDIATE; ROLLBACK');
      const synchronous = database.pragma('synchronous', { simple: true });
      if (synchronous !== 2) throw new Error(`synchronous is ${String(synchronous)}, not FULL (2)`);
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

/** Returns whether a database could not be opened because its disk may be full. */
function lacksRoom(error: unknown): boolean {
  const cause = error instanceof StartError ? error.cause : error;
  return NO_ROOM.test(String((cause as { code?: unknown } | undefined)?.code));
}

function ifThereIsRoom(step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!lacksRoom(error)) throw error;
  }
}

/**
 * Creates the database if it is missing, and migrates it. On a full disk, uses the room of the reserve.
 *
 * @param prepare makes final changes before anything reads the database
 * @param upgrade as in `openForWriting`
 * @throws {StartError} as `openForWriting` does
 */
export function makeReady(
  file: string,
  prepare: (database: Database) => void,
  upgrade?: UpgradeOptions,
): void {
  const makeOnce = (): void => {
    const database = openForWriting(file, upgrade);
    try {
      explain(file, () => prepare(database));
    } finally {
      database.close();
    }
  };
  try {
    makeOnce();
  } catch (error) {
    if (!lacksRoom(error) || !releaseReserve(file)) throw error;
    makeOnce();
  }
}

/** Opens the database for reading beside the writer. It must exist, with its schema. */
export function openForReading(file: string): Database {
  return new Sqlite(file, { readonly: true, fileMustExist: true, timeout: BUSY_MILLISECONDS });
}

/** Returns whether a file begins with the header of a SQLite database. */
export function hasSqliteHeader(file: string): boolean {
  const header = Buffer.alloc(16);
  const descriptor = openSync(file, 'r');
  try {
    readSync(descriptor, header, 0, 16, 0);
  } finally {
    closeSync(descriptor);
  }
  return header.equals(Buffer.from('SQLite format 3\0'));
}
