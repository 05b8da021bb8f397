/** Keeps a copy of a database before a newer version of this program migrates it. */
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

/** The options for migrating a database of an older version. */
export interface UpgradeOptions {
  /** Whether to keep a copy from before the migration. */
  readonly keepsCopy: boolean;
  readonly logger: Logger;
}

/**
 * Keeps a copy beside a database that is about to be migrated. The name contains the schema version and the time of the
 * last change, so one copy is made for each state of the database, however often a start is interrupted, and none is
 * ever overwritten. Does nothing if there is nothing to migrate or the copy exists.
 *
 * @param database a connection that may write; its write-ahead log is emptied
 * @throws {StartError} if there is no room for a copy, or the database is damaged; SQLite's error if the copy fails
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
  // If another program is reading, the write-ahead log stays, and the file's time is not that of the last change.
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

/** Formats a time in milliseconds since the Unix epoch for file names. */
function timeText(time: number): string {
  return new Date(time).toISOString().replaceAll(/[-:.]/g, '');
}

/**
 * Checks that there is room for a copy, and frees the reserve if it is needed.
 *
 * @throws {StartError} with the missing size
 */
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

/** @throws {StartError} if a copy is damaged */
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
