// Inserts the same rows as the service, in the same kind of database, with nothing around it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { serve } from '../client/remote.js';
import { CONTENT } from '../client/template.js';
import { makeFolder, removeFolder } from '../processes.js';

serve({ insert });

const MIGRATIONS = new URL('../../db/migrations/', import.meta.url);

/**
 * @param {{ group: number, seconds: number }} options `group`: rows in one transaction
 * @returns {number} rows a second
 */
function insert({ group, seconds }) {
  const folder = makeFolder();
  const database = new Sqlite(join(folder, 'rows.sqlite'));
  database.pragma('auto_vacuum = INCREMENTAL');
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.pragma('cache_size = -65536');
  for (const name of readdirSync(MIGRATIONS).sort()) {
    database.exec(readFileSync(new URL(name, MIGRATIONS), 'utf8'));
  }
  const statement = database.prepare(
    'INSERT INTO messages (sender, recipient, type, content, createdAt, idempotencyKey, expiresAt, background) ' +
      'VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const content = JSON.stringify(CONTENT);
  const insertGroup = database.transaction(() => {
    for (let row = 0; row < group; row++) {
      statement.run('alice', 'inbox', 'message', content, Date.now(), null, null, 0);
    }
  });
  // Until the write-ahead log has been filled once, and the code is compiled.
  const warm = performance.now() + (seconds * 1000) / 4;
  while (performance.now() < warm) insertGroup.immediate();
  const began = performance.now();
  let rows = 0;
  while (performance.now() < began + seconds * 1000) {
    insertGroup.immediate();
    rows += group;
  }
  const rate = (rows * 1000) / (performance.now() - began);
  database.close();
  removeFolder(folder);
  return rate;
}
