/** The file of a log, looked at and changed from outside while no server has it. */
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import Sqlite, { type Database } from 'better-sqlite3';

/** Runs a function on the database. */
export function withDatabase<T>(file: string, run: (database: Database) => T): T {
  const database = new Sqlite(file, { fileMustExist: true });
  try {
    return run(database);
  } finally {
    database.close();
  }
}

/** One number, read beside a server that may be running. */
export function readNumber(file: string, sql: string, ...values: unknown[]): number {
  const database = new Sqlite(file, { readonly: true });
  try {
    return database
      .prepare(sql)
      .pluck()
      .get(...values) as number;
  } finally {
    database.close();
  }
}

/** Copies a database as it lies there, with what its write-ahead log holds; what was at the new place is gone. */
export function copyDatabase(from: string, to: string): void {
  for (const part of ['', '-wal', '-shm']) rmSync(to + part, { force: true });
  for (const part of ['', '-wal']) if (existsSync(from + part)) copyFileSync(from + part, to + part);
}
