// After you add a migration, `npm run schema` writes db/schema.sql (the schema after all migrations), and notes the
// hash of the new one in db/migrations.sha256. To change it again before its release, remove its line there.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import Sqlite from 'better-sqlite3';

const folder = new URL('./migrations/', import.meta.url);
const noted = new URL('./migrations.sha256', import.meta.url);

/** Returns the schema that the migrations make, as SQL text. */
export function dumpSchema() {
  const database = new Sqlite(':memory:');
  for (const name of readdirSync(folder).sort()) {
    database.exec(readFileSync(new URL(name, folder), 'utf8'));
  }
  /** @type {string[]} */
  const statements = database
    .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name")
    .pluck()
    .all()
    .map((sql) => `${String(sql)};\n`);
  database.close();
  return `-- Made by "npm run schema" from db/migrations; not to be edited.\n\n${statements.join('\n')}`;
}

/**
 * Adds the migrations that are not noted yet. @throws {Error} if a noted one was edited or removed
 *
 * @param {string} before the lines so far, as `sha256sum` prints them
 */
export function noteMigrations(before) {
  const lines = readdirSync(folder)
    .sort()
    .map((name) => {
      const text = readFileSync(new URL(name, folder), 'utf8').replaceAll('\r\n', '\n');
      return `${createHash('sha256').update(text).digest('hex')}  ${name}\n`;
    });
  const after = lines.join('');
  if (after.startsWith(before)) return after;
  const changed = before.split(/(?<=\n)/).filter((line) => !lines.includes(line));
  throw new Error(
    `Never edit or remove a released migration, because databases have it: add another one. Changed: ${changed.join()}`,
  );
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(noted, noteMigrations(readFileSync(noted, 'utf8')));
  writeFileSync(new URL('./schema.sql', import.meta.url), dumpSchema());
}
