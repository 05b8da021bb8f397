/**
 * Applies and checks the migrations of the schema: files in db/migrations, which are never edited after their release.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { StartError } from '../../start-error.ts';

/** The application id in the file's header (`PRAGMA application_id`): "TIDG". */
const APPLICATION_ID = 0x54494447;

const FOLDER = new URL('../../../db/migrations/', import.meta.url);

/** The migration that creates the table of applied migrations. Databases with an older schema have no hashes. */
const HASHED_FROM = 9;

/** A migration of this program. */
interface Migration {
  /** The schema version after it. */
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

/** A migration as recorded in a database. */
type AppliedMigration = Pick<Migration, 'version' | 'name' | 'sha256'>;

let migrations: readonly Migration[] | undefined;

/**
 * Returns the migrations of this program in the order of their application. A database's `user_version` is the number
 * of applied ones.
 *
 * @throws {StartError} if one is missing from the installation
 */
function knownMigrations(): readonly Migration[] {
  migrations ??= readMigrations(FOLDER);
  return migrations;
}

/**
 * Reads the migrations in a folder.
 *
 * @throws {StartError} if their numbers have a gap
 */
export function readMigrations(folder: URL): Migration[] {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .sort();
  return names.map((name, index) => {
    const version = index + 1;
    if (Number.parseInt(name, 10) !== version) {
      throw new StartError(
        `This installation of Tidings is not whole: db/migrations has ${name} in the place of migration ${version}. Install it again.`,
      );
    }
    const sql = readFileSync(new URL(name, folder), 'utf8').replaceAll('\r\n', '\n');
    return { version, name, sql, sha256: createHash('sha256').update(sql).digest('hex') };
  });
}

/** Returns the version of the schema that this program works with. */
export function knownSchema(): number {
  return knownMigrations().length;
}

/** Returns the version of a database's schema: the number of applied migrations. */
export function schemaOf(database: Database): number {
  return database.pragma('user_version', { simple: true }) as number;
}

/**
 * Checks that a database belongs to this program, has no newer schema, and was made by the same migrations that this
 * program has.
 *
 * @throws {StartError} with the check that failed, and what to do about it
 */
export function checkSchema(database: Database, file: string): void {
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
  if (version >= HASHED_FROM) checkHashes(database, file, version);
}

function checkHashes(database: Database, file: string, version: number): void {
  const rows = database.prepare<[], AppliedMigration>('SELECT version, name, sha256 FROM migrations').all();
  const applied = new Map(rows.map((row) => [row.version, row]));
  for (const migration of knownMigrations().slice(0, version)) {
    const before = applied.get(migration.version);
    if (before?.sha256 === migration.sha256) continue;
    const fault =
      before === undefined
        ? `has no record of migration ${migration.version} (${migration.name}), though its schema version is ${version}`
        : `was made with another migration ${migration.version}: ${before.name} ` +
          `(SHA-256 ${short(before)}), and this program has ${migration.name} (${short(migration)})`;
    throw new StartError(
      `${file} ${fault}. Nothing was changed. Start the version of Tidings that wrote it, install this one again if its files ` +
        'were edited, or restore a backup: docs/upgrades.md says more.',
    );
  }
}

function short({ sha256 }: AppliedMigration): string {
  return `${sha256.slice(0, 12)}…`;
}

/**
 * Applies the migrations that a database lacks, in one transaction: if one fails, the database stays as it was, and the
 * previous version of the program can still open it. Does nothing if none are missing.
 *
 * @param file the name of the database, for messages
 * @throws {StartError} with the migration that failed, and the reason
 */
export function migrate(database: Database, file: string): void {
  const lacking = knownMigrations().slice(schemaOf(database));
  let [current] = lacking;
  if (current === undefined) return;
  const apply = database.transaction(() => {
    for (current of lacking) database.exec(current.sql);
    database.pragma(`application_id = ${APPLICATION_ID}`);
    database.pragma(`user_version = ${knownSchema()}`);
    record(database, lacking);
  });
  try {
    apply.immediate();
  } catch (error) {
    throw failureOf(current, file, error);
  }
}

/** Records the migrations of a database. Those applied before such records existed are assumed to be this program's. */
function record(database: Database, applied: readonly Migration[]): void {
  const now = Date.now();
  const insert = database.prepare<[number, string, string, number | null]>(
    'INSERT OR IGNORE INTO migrations (version, name, sha256, appliedAt) VALUES (?, ?, ?, ?)',
  );
  for (const migration of knownMigrations()) {
    const { version, name, sha256 } = migration;
    insert.run(version, name, sha256, applied.includes(migration) ? now : null);
  }
}

/** Returns the error for a failed migration, with SQLite's message. The migration was rolled back. */
function failureOf({ name, version }: Migration, file: string, error: unknown): StartError {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return new StartError(
    `${file} cannot be brought to schema version ${version}: the migration ${name} failed (${String(code)}: ` +
      `${String(message)}). Nothing was changed. ${remedyFor(String(code))}`,
    { cause: error },
  );
}

function remedyFor(code: string): string {
  if (/^SQLITE_(FULL|IOERR)/.test(code)) return 'Make room on its disk or repair the disk, then start again.';
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return 'End the other program that has it open, then start again.';
  if (/^SQLITE_(READONLY|CANTOPEN|PERM)/.test(code))
    return 'Give this user the right to write the file and its folder, then start again.';
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) return 'The file is damaged: restore a backup.';
  return 'Start the previous version of Tidings, which can still open it: docs/upgrades.md says more.';
}
