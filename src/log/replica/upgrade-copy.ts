/** The copy of a database that is kept before a newer version of this program migrates it. */
import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Sqlite, { type Database } from 'better-sqlite3';
import type { Logger } from 'pino';
import { makeFile } from '../../files/private-file.ts';
import { sync } from '../../files/sync.ts';
import { sizeText } from '../../size-text.ts';
import { StartError } from '../../start-error.ts';
import { askDisk, roomFor } from './disk-space.ts';
import { knownSchema, schemaOf } from './migrations.ts';
import { emptyWal } from './relief.ts';
import { releaseReserve, reserveFile } from './reserve.ts';

/** How a database of an older version is migrated. */
export interface UpgradeOptions {
  /** Whether a copy is kept of it as it was. */
  readonly keepsCopy: boolean;
  readonly logger: Logger;
}

/**
 * Keeps a copy of a database that is to be migrated, beside it. The name tells its schema and the time of its last change, so
 * a copy is made once for each state of the database, however often a start is interrupted, and none is ever overwritten.
 * Does nothing if there is nothing to migrate or the copy is there.
 *
 * @param database a connection that may write; its write-ahead log is emptied
 * @throws {StartError} if there is no room for a copy, or the database is damaged; what SQLite throws if it fails
 */
export function keepCopy(database: Database, file: string, { keepsCopy, logger }: UpgradeOptions): void {
  const schema = schemaOf(database);
  if (schema === 0 || schema === knownSchema()) return;
  const part = `${file}-copying`;
  remove(part);
  const step = { file, schema, next: knownSchema() };
  if (!keepsCopy) {
    logger.warn(step, 'the database is changed for this version without a copy, as UPGRADE_COPY says');
    return;
  }
  // Another program that reads keeps the write-ahead log: then the file's time does not tell the last change.
  const changedAt = emptyWal(database) ? statSync(file).mtimeMs : Date.now();
  const copy = `${file}-schema-${schema}-${timeText(changedAt)}`;
  if (!existsSync(copy)) {
    makeRoom(file, schema);
    try {
      makeFile(part);
      database.prepare('VACUUM INTO ?').run(part);
      check(part, file, schema);
      sync(part);
      renameSync(part, copy);
      sync(dirname(file));
    } catch (error) {
      remove(part);
      throw error;
    }
  }
  logger.warn(
    { ...step, copy, bytes: statSync(copy).size },
    'the database is changed for this version; a copy from before is kept, which can be deleted when all is well',
  );
}

function remove(part: string): void {
  for (const name of ['', '-journal']) rmSync(part + name, { force: true });
}

/** Returns a time in milliseconds since the Unix epoch as it stands in names of files. */
function timeText(time: number): string {
  return new Date(time).toISOString().replaceAll(/[-:.]/g, '');
}

/** Checks that there is room for a copy, if need be with that of the reserve. @throws {StartError} how much is missing */
function makeRoom(file: string, schema: number): void {
  const wal = statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  const size = statSync(file).size + wal;
  const missing = roomFor(file, size);
  const reserved = statSync(reserveFile(file), { throwIfNoEntry: false })?.size ?? 0;
  if (missing > reserved) {
    throw new StartError(
      `${file} has schema version ${schema}, and is copied before this version changes it. Its disk has no room for the copy: ` +
        `the database has ${sizeText(size)}, ${sizeText(askDisk(file).available)} are free, and ` +
        `${sizeText(missing - reserved)} more are needed. Nothing was changed. Make room there, then start again; or copy the ` +
        'database elsewhere, and start once with UPGRADE_COPY=none.',
    );
  }
  if (missing > 0) releaseReserve(file);
}

/** @throws {StartError} if a copy is not whole */
function check(copy: string, file: string, schema: number): void {
  const database = new Sqlite(copy, { readonly: true, fileMustExist: true });
  try {
    const found = database.pragma('quick_check(1)', { simple: true });
    if (found !== 'ok' || schemaOf(database) !== schema) {
      throw new StartError(
        `${file} is damaged (${String(found)}), so it is not changed for this version. Restore a backup, then start again.`,
      );
    }
  } finally {
    database.close();
  }
}
