// Writes db/schema.sql: what a database looks like after all migrations. `npm run schema`, after adding one.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import Sqlite from 'better-sqlite3';

const migrations = new URL('./migrations/', import.meta.url);

/** The schema that the migrations make, as SQL text. */
export function dumpSchema() {
  const database = new Sqlite(':memory:');
  for (const name of readdirSync(migrations).sort()) {
    database.exec(readFileSync(new URL(name, migrations), 'utf8'));
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

if (process.argv[1] === import.meta.filename) {
  writeFileSync(new URL('./schema.sql', import.meta.url), dumpSchema());
}
