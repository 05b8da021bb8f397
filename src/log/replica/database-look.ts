import { existsSync, statSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { StartError } from '../../start-error.ts';
import { hasSqliteHeader, openForReading } from './database.ts';
import { checkSchema, knownSchema, schemaOf } from './migrations.ts';

/** A database as a person is told of it. */
export interface DatabaseLook {
  /** The version of its schema, and the one that this program works with. */
  readonly schema: number;
  readonly known: number;
  /** The id of the newest message; 0 if there is none. */
  readonly newest: number;
  /** `ok`, or the first fault, in SQLite's own words. */
  readonly integrity: string;
}

/**
 * Reads all of a database, with its indexes. A read of it keeps the write-ahead log of a running service from being reset.
 *
 * @param name the file as it is named to a person
 * @throws {StartError} if it is of another program, or of a newer version; what SQLite throws if it cannot be read
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

/** As `lookAt`, of a file. */
export function lookAtFile(file: string): DatabaseLook {
  const database = openForReading(file);
  try {
    return lookAt(database, file);
  } finally {
    database.close();
  }
}

/** Checks that a file can be a database at all. @throws {StartError} if it is missing, empty, or something else */
export function checkIsDatabase(file: string): void {
  if (!existsSync(file)) throw new StartError(`${file} does not exist.`);
  if (!statSync(file).isFile()) throw new StartError(`${file} is not a file.`);
  if (!hasSqliteHeader(file)) throw new StartError(`${file} is not a SQLite database.`);
}

/** Every version of the schema has this table, but a database that was only just made has none. */
function newestIn(database: Database): number {
  if (schemaOf(database) === 0) return 0;
  return (database.prepare('SELECT max(id) FROM messages').pluck().get() as number | null) ?? 0;
}
