import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import Sqlite, { type Database } from 'better-sqlite3';
import { explain } from '../../files/explain.ts';
import { makeFile } from '../../files/private-file.ts';
import { realFile } from '../../files/real-file.ts';
import { StartError } from '../../start-error.ts';
import { checkPlace } from './place.ts';
import { releaseReserve } from './reserve.ts';

/** In the header of the file (`PRAGMA application_id`): "TIDG". */
const APPLICATION_ID = 0x54494447;

/** The time for which a thread waits for another program's lock, before the request is refused for now. */
const BUSY_MILLISECONDS = 250;

const MIGRATIONS = new URL('../../../db/migrations/', import.meta.url);

/** Returns the migrations' names in the order in which they are applied. `user_version` counts the applied ones. */
function migrationNames(): string[] {
  return readdirSync(MIGRATIONS)
    .filter((name) => name.endsWith('.sql'))
    .sort();
}

/** The error codes of SQLite and the system if the disk has no room for a file that is needed beside the database. */
const NO_ROOM = /^(SQLITE_(FULL|IOERR_(WRITE|SHMSIZE|SHMOPEN)|CANTOPEN)|ENOSPC|EDQUOT|EFBIG)/;

/**
 * Checks a database file without changing anything.
 *
 * Does nothing if the file is missing or empty.
 *
 * @param name the file, by any name
 * @throws {StartError} if it is not a database, belongs to another program, has a newer schema, or cannot be read
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
    // A full disk has no room for the index that readers share. The writer makes room and checks the schema itself.
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
 * Opens the database for the one writer. Creates it, with its folder, if missing, and applies the migrations it lacks.
 *
 * @param file without links
 * @throws {StartError} as `inspect`, and if it cannot be written
 */
export function openForWriting(file: string): Database {
  return explain(file, () => {
    checkPlace(file);
    makeFile(file);
    const database = new Sqlite(file, { timeout: BUSY_MILLISECONDS });
    try {
      checkSchema(database, file);
      // Takes effect only before the first table exists. It lets upkeep return the pages that purges free.
      database.pragma('auto_vacuum = INCREMENTAL');
      database.pragma('journal_mode = WAL');
      // better-sqlite3 is compiled with NORMAL for WAL, with which a power cut loses acknowledged messages.
      database.pragma('synchronous = FULL');
      database.pragma('cache_size = -65536');
      // A long read, such as a backup, lets the write-ahead log grow. After it, the file shrinks to this size again.
      database.pragma('journal_size_limit = 67108864');
      migrate(database);
      // SQLite opens a write-protected file without an error, for reading.
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
 * Creates the database if missing and migrates it. On a full disk, it uses the room of the reserve.
 *
 * @param prepare makes the last changes before anything reads it
 * @throws {StartError} as `openForWriting`
 */
export function makeReady(file: string, prepare: (database: Database) => void): void {
  const makeOnce = (): void => {
    const database = openForWriting(file);
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

/** Applies the migrations that a database lacks. Nothing is done if it has all of them. */
export function migrate(database: Database): void {
  const names = migrationNames();
  const applied = schemaOf(database);
  for (const [index, name] of names.entries()) {
    if (index < applied) continue;
    const sql = readFileSync(new URL(name, MIGRATIONS), 'utf8');
    database.transaction(() => {
      database.exec(sql);
      database.pragma(`application_id = ${APPLICATION_ID}`);
      database.pragma(`user_version = ${index + 1}`);
    })();
  }
}

/** Returns the version of a database's schema: how many migrations were applied. */
export function schemaOf(database: Database): number {
  return database.pragma('user_version', { simple: true }) as number;
}

/** Returns the version of the schema that this program works with. */
export function knownSchema(): number {
  return migrationNames().length;
}

function checkSchema(database: Database, file: string): void {
  const version = schemaOf(database);
  const tables = database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() as number;
  const application = database.pragma('application_id', { simple: true });
  if (tables > 0 && application !== APPLICATION_ID) {
    throw new StartError(`${file} is a database of another program. Set DATABASE to another path.`);
  }
  const known = knownSchema();
  if (version > known) {
    throw new StartError(
      `${file} has schema version ${version}; this version of Tidings knows up to ${known}. ` +
        'Start the newer version that wrote it, or restore a backup from before.',
    );
  }
}

function hasSqliteHeader(file: string): boolean {
  const header = Buffer.alloc(16);
  const descriptor = openSync(file, 'r');
  try {
    readSync(descriptor, header, 0, 16, 0);
  } finally {
    closeSync(descriptor);
  }
  return header.equals(Buffer.from('SQLite format 3\0'));
}
