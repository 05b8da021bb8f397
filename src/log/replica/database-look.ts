import { existsSync, statSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { StartError } from '../../start-error.ts';
import { hasSqliteHeader, openForReading } from './database.ts';
import { checkSchema, knownSchema, schemaOf } from './migrations.ts';

/** The facts about a database that a command reports. */
export interface DatabaseLook {
  /** The version of its schema, and the version that this program works with. */
  readonly schema: number;
  readonly known: number;
  /** The id of the newest message; 0 if there is none. */
  readonly newest: number;
  /** `ok`, or the first fault in SQLite's own words. */
  readonly integrity: string;
}

/**
 * Reads and checks a whole database, with its indexes. While it reads, the write-ahead log of a running service cannot
 * be reset.
 *
 * @param name the name of the file for messages
 * @throws {StartError} if it belongs to another program or a newer version; SQLite's error if it cannot be read
 */
export function lookAt(database: Database, name: string): DatabaseLook {
  checkSchema(database, name);
  return {
    schema: schemaOf(database),
    known: knownSchema(),
    newest: newestIn(database),
    integrity: String(database.pragma('integrity_check(1)', { simple: true })),
  };
}

/** Opens a file and returns what `lookAt` does. */
export function lookAtFile(file: string): DatabaseLook {
  const database = openForReading(file);
  try {
    return lookAt(database, file);
  } finally {
    database.close();
  }
}

/** Checks that a file looks like a database. @throws {StartError} if it is missing, empty, or something else */
export function checkIsDatabase(file: string): void {
  if (!existsSync(file)) throw new StartError(`${file} does not exist.`);
  if (!statSync(file).isFile()) throw new StartError(`${file} is not a file.`);
  if (!hasSqliteHeader(file)) throw new StartError(`${file} is not a SQLite database.`);
}

/**
 * Returns the id of the newest message. Every schema version has the table, but a database just created has no schema.
 */
function newestIn(database: Database): number {
  if (schemaOf(database) === 0) return 0;
  return (database.prepare('SELECT max(id) FROM messages').pluck().get() as number | null) ?? 0;
}
