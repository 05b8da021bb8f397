import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { openForWriting } from '../../src/log/replica/database.ts';
import { knownSchema, readMigrations } from '../../src/log/replica/migrations.ts';
import { lookAtReplica } from '../../src/log/replica/replica-file.ts';
import { contentOf, copiesOf, databaseOf, originalOf } from '../support/earlier-versions.ts';
import { withDatabase } from '../support/file.ts';
import { cleanUp, newFolder } from '../support/server.ts';

afterEach(cleanUp);

const FOLDER = new URL('../../db/migrations/', import.meta.url);

/** A copy of the folder of migrations, which a test changes. */
function folderOfItsOwn(): { folder: string; url: URL } {
  const folder = join(newFolder(), 'migrations');
  mkdirSync(folder);
  for (const name of readdirSync(FOLDER))
    writeFileSync(join(folder, name), readFileSync(new URL(name, FOLDER)));
  return { folder, url: pathToFileURL(`${folder}/`) };
}

test('migrations with the line ends of Windows count as the same', () => {
  const { folder, url } = folderOfItsOwn();
  for (const name of readdirSync(folder)) {
    const text = readFileSync(join(folder, name), 'utf8');
    writeFileSync(join(folder, name), text.replaceAll('\n', '\r\n'));
  }
  expect(readMigrations(url)).toEqual(readMigrations(FOLDER));
});

test('a migration with another letter counts as another, also if that is in a comment', () => {
  const { folder, url } = folderOfItsOwn();
  const file = join(folder, '0007-order.sql');
  writeFileSync(file, readFileSync(file, 'utf8').replace('-- Where', '-- There'));
  const differing = readMigrations(url).filter(
    ({ sha256 }, index) => sha256 !== readMigrations(FOLDER)[index]?.sha256,
  );
  expect(differing.map(({ version, name }) => [version, name])).toEqual([[7, '0007-order.sql']]);
});

test('a program that was installed without one of its migrations says so', () => {
  const { folder, url } = folderOfItsOwn();
  rmSync(join(folder, '0004-push-bounds.sql'));
  expect(() => readMigrations(url)).toThrow(
    'This installation of Tidings is not whole: db/migrations has 0005-retention-time.sql in the place of migration 4. Install it again.',
  );
});

test('reading the state of a database of an earlier version migrates it, and keeps no copy unless one is asked for', () => {
  const file = databaseOf('schema-8');
  lookAtReplica(file);
  expect(contentOf(file).version).toBe(knownSchema());
  expect(copiesOf(file)).toEqual([]);
});

test('the copy of a database that another program reads has everything in its write-ahead log', () => {
  const file = databaseOf('schema-8');
  // Because there is a reader, the changes stay in the write-ahead log.
  const change = (content: string): void =>
    withDatabase(file, (database) => {
      database.pragma('wal_autocheckpoint = 0');
      database.prepare('UPDATE messages SET content = ? WHERE id = 1').run(content);
    });
  const upgrade = { keepsCopy: true, logger: pino({ level: 'silent' }) };
  withDatabase(file, (reader) => {
    const rows = reader.prepare('SELECT * FROM messages').iterate();
    rows.next();
    change('"first"');
    openForWriting(file, upgrade).close();
    rows.return?.();
  });
  const [copy = ''] = copiesOf(file);
  const changed = contentOf(copy).rows.find(([table]) => table === 'messages')?.[1] ?? [];
  const before = contentOf(originalOf('schema-8')).rows.find(([table]) => table === 'messages')?.[1] ?? [];
  expect(changed.filter((row) => !before.includes(row))).toEqual([expect.stringContaining('first')]);
});
