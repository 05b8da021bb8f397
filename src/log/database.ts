import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import Sqlite, { type Database } from 'better-sqlite3';
import { StartError } from '../start-error.ts';
import { checkPlace, makeFile, realFile } from './place.ts';
import { giveBackReserve } from './reserve.ts';

/** In the header of the file (`PRAGMA application_id`): "TIDG". */
const APPLICATION_ID = 0x54494447;

/** How long a thread stands still for a lock that another program holds, before the request is told to come back. */
const BUSY_MILLISECONDS = 250;

const MIGRATIONS = new URL('../../db/migrations/', import.meta.url);

/** The names of the migrations, in the order in which they are applied: `user_version` counts those that were. */
function migrationNames(): string[] {
  return readdirSync(MIGRATIONS)
    .filter((name) => name.endsWith('.sql'))
    .sort();
}

/** What SQLite and the system say if the disk has no room for a file that is needed beside the database. */
const NO_ROOM = /^(SQLITE_(FULL|IOERR_(WRITE|SHMSIZE|SHMOPEN)|CANTOPEN)|ENOSPC|EDQUOT|EFBIG)/;

/**
 * Looks at a database file without changing anything.
 *
 * Nothing is done if there is no file yet, or an empty one.
 *
 * @param name the file, by any name
 * @throws {StartError} if it is no database, one of another program, of a newer schema, or cannot be read
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
    // A full disk has no room for the index that readers share. The writer gives it some, and looks itself.
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
 * Opens the database for the one writer: makes it with its folder if missing, and applies the migrations it lacks.
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
      // Takes effect only before the first table is made; gives pages back as purges free them.
      database.pragma('auto_vacuum = INCREMENTAL');
      database.pragma('journal_mode = WAL');
      // better-sqlite3 is compiled with NORMAL for WAL, which a power cut takes acknowledged messages from.
      database.pragma('synchronous = FULL');
      database.pragma('cache_size = -65536');
      // A long read, as a backup is one, lets the write-ahead log grow; after it the file shrinks to this again.
      database.pragma('journal_size_limit = 67108864');
      migrate(database);
      // A write-protected file opens all the same, for reading.
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

/** Whether a database could not be opened because its disk may be full. */
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
 * Makes the database if it is missing, and brings it up to date; on a full disk with the room of its reserve.
 *
 * @throws {StartError} as `openForWriting`
 */
export function makeReady(file: string): void {
  try {
    openForWriting(file).close();
  } catch (error) {
    if (!lacksRoom(error) || !giveBackReserve(file)) throw error;
    openForWriting(file).close();
  }
}

/** Opens the database for reading beside the writer. It must exist, with its schema. */
export function openForReading(file: string): Database {
  return new Sqlite(file, { readonly: true, fileMustExist: true, timeout: BUSY_MILLISECONDS });
}

function migrate(database: Database): void {
  const names = migrationNames();
  const applied = database.pragma('user_version', { simple: true }) as number;
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

function checkSchema(database: Database, file: string): void {
  const version = database.pragma('user_version', { simple: true }) as number;
  const tables = database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() as number;
  const application = database.pragma('application_id', { simple: true });
  if (tables > 0 && application !== APPLICATION_ID) {
    throw new StartError(`${file} is a database of another program. Set DATABASE to another path.`);
  }
  const known = migrationNames().length;
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

/** Runs a step of opening; what the file system and SQLite say becomes a line for a person. */
export function explain<T>(file: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw error instanceof StartError ? error : new StartError(lineOf(file, error), { cause: error });
  }
}

function lineOf(file: string, error: unknown): string {
  const code = String((error as { code?: unknown }).code);
  const why = error instanceof Error ? error.message : String(error);
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) {
    return `${file} is corrupt (${why}). Restore it from a backup; nothing was changed.`;
  }
  if (/^(SQLITE_(FULL|IOERR_SHMSIZE)|ENOSPC|EDQUOT)/.test(code)) {
    return `${file} cannot be opened: its disk is full (${code}: ${why}). Make room there, then start again.`;
  }
  if (/^SQLITE_(READONLY|CANTOPEN|PERM|IOERR)|^E(ACCES|PERM|ROFS)$/.test(code)) {
    return (
      `${file} cannot be written (${why}). Give this user the right to write the file and its folder, ` +
      'or set DATABASE to another path.'
    );
  }
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
    return `${file} is locked by another program (${why}). End that program, then start again.`;
  }
  return `${file} cannot be opened (${code}: ${why}). Mend that, or set DATABASE to another path.`;
}
