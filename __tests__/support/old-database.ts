/** A database as the version before the order of entries wrote it: schema version 6. */
import { readdirSync, readFileSync } from 'node:fs';
import Sqlite, { type Database } from 'better-sqlite3';

const MIGRATIONS = new URL('../../db/migrations/', import.meta.url);
const VERSION = 6;

/**
 * Makes such a database, as two runs of the service left it: the first gave the ids 1 to 4, the second the id 5.
 *
 * @param createdAt of the first messages, in milliseconds since the Unix epoch
 * @returns the open database; the caller closes it
 */
export function oldDatabase(file: string, createdAt = Date.now() - 3_600_000): Database {
  const database = new Sqlite(file);
  database.pragma('auto_vacuum = INCREMENTAL');
  database.pragma('journal_mode = WAL');
  for (const name of readdirSync(MIGRATIONS).sort().slice(0, VERSION))
    database.exec(readFileSync(new URL(name, MIGRATIONS), 'utf8'));
  database.pragma('application_id = 0x54494447');
  database.pragma(`user_version = ${VERSION}`);
  const expiresAt = createdAt + 86_400_000;
  const message = database.prepare('INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
  message.run(1, 'anonymous', 'bob', 'message', '1', createdAt, 'k', null, 0);
  message.run(2, 'anonymous', 'bob', 'message', '2', createdAt, null, expiresAt, 0);
  message.run(3, 'anonymous', 'carol', 'message', '3', createdAt, null, null, 0);
  message.run(4, 'anonymous', 'bob', 'read', '{"messageId":2}', createdAt + 300, null, null, 0);
  message.run(5, 'anonymous', 'bob', 'message', '5', createdAt + 4000, null, null, 1);
  database.exec(`
    INSERT INTO runs (firstId, tag) VALUES (1, 'xss10d'), (5, 'gkl347');
    INSERT INTO readMarkers (reader, peer, messageId, id) VALUES ('anonymous', 'bob', 2, 4);
    INSERT INTO pairMessages (recipient, sender, id, counts, expiresAt) VALUES
      ('bob', 'anonymous', 1, 1, NULL), ('bob', 'anonymous', 2, 1, ${expiresAt}), ('bob', 'anonymous', 4, 0, NULL),
      ('bob', 'anonymous', 5, 0, NULL), ('carol', 'anonymous', 3, 1, NULL);
    INSERT INTO conversations (address, peer, lastId, expiresAt) VALUES
      ('anonymous', 'bob', 2, ${expiresAt}), ('bob', 'anonymous', 2, ${expiresAt}),
      ('anonymous', 'carol', 3, NULL), ('carol', 'anonymous', 3, NULL);
    INSERT INTO pushSubscriptions
      (recipient, reader, endpoint, p256dh, auth, expirationTime, createdAt, since, through, client) VALUES
      ('bob', 'bob', 'https://push.example/x', 'p', 'a', NULL, ${createdAt}, 1, 2, NULL);
    INSERT INTO pushNotices (subscription, peer, messageId) VALUES (1, 'anonymous', 2);
    UPDATE position SET head = 5, projected = 5, retentionTime = ${createdAt + 4000};
  `);
  return database;
}
