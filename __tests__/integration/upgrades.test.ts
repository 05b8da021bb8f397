import {
  copyFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import {
  contentOf,
  copiesOf,
  databaseOf,
  expectAnswersOf,
  originalOf,
  QUIET,
  RELEASES,
} from '../support/earlier-versions.ts';
import { withDatabase } from '../support/file.ts';
import { headCursor, liveOf, pullAll } from '../support/pull.ts';
import { cleanUp, Server } from '../support/server.ts';
import { diskTest, SmallDisk } from '../support/small-disk.ts';
import { DeviceStream } from '../support/stream.ts';

afterEach(cleanUp);

const NEWEST = '0009-migrations.sql';
const SCHEMA = 9;
const EARLIER_VERSIONS = RELEASES.filter(([, schema]) => schema < SCHEMA);

function start(database: string): Promise<Server> {
  return Server.start({ database, env: QUIET });
}

/** Starts a service that cannot start, and returns what it said: log lines, then the line that ends it. */
async function refused(database: string, env = {}): Promise<string> {
  const ended = await Server.run({ database, env });
  expect(ended).toMatchObject({ code: 1, signal: null, stdout: '' });
  return ended.stderr;
}

/** Returns the files in a database's folder with what they hold, but for what a reader of SQLite makes. */
function filesBeside(database: string): [string, string][] {
  const folder = dirname(database);
  return readdirSync(folder)
    .filter(
      (name) => !/-(shm|wal)$/.test(name) || (name.endsWith('-wal') && statSync(join(folder, name)).size > 0),
    )
    .map((name) => [name, readFileSync(join(folder, name), 'base64')]);
}

/** A stopped database of this version, with three messages for bob. */
async function databaseOfToday(): Promise<string> {
  const server = await Server.start();
  for (const content of [1, 2, 3]) await send(server.url, 'bob', content);
  await server.stop();
  return server.database;
}

test('the fixtures have a database of each release, and of the last schema without hashes of migrations', () => {
  expect(RELEASES).toEqual([
    ['schema-8', 8],
    ['tidings-0.1.0', 6],
    ['tidings-0.2.0', SCHEMA],
  ]);
});

test('a database of a release with the same schema is opened as it is, without a copy', async () => {
  const version = 'tidings-0.2.0';
  const database = databaseOf(version);
  const server = await start(database);
  await expectAnswersOf(version, server.url);
  expect(copiesOf(database)).toEqual([]);
  expect(server.stderr).not.toContain('copy');
  expect(withDatabase(database, (file) => file.pragma('user_version', { simple: true }))).toBe(SCHEMA);
});

describe.each(EARLIER_VERSIONS)('a database of %s', (version, schema) => {
  test('an old database is upgraded with all its content, and a copy from before is kept for its user alone', async () => {
    const database = databaseOf(version);
    const server = await start(database);
    await expectAnswersOf(version, server.url);
    const [copy = '', ...others] = copiesOf(database);
    expect(others).toEqual([]);
    expect(basename(copy)).toMatch(new RegExp(`^tidings.sqlite-schema-${schema}-\\d{8}T\\d{9}Z$`));
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    expect(contentOf(copy)).toEqual(contentOf(originalOf(version)));
    const line = server.stderr.split('\n').find((each) => each.includes('a copy from before is kept'));
    expect(JSON.parse(line ?? '')).toMatchObject({ level: 40, schema, next: SCHEMA, copy, file: database });
    await server.stop();
    // The next start has nothing to do.
    const again = await start(database);
    await expectAnswersOf(version, again.url);
    expect(copiesOf(database)).toEqual([copy]);
    expect(again.stderr).not.toContain('copy');
  });

  test('an upgraded database can be replaced by its copy, and devices that had seen more are told so', async () => {
    const database = databaseOf(version);
    const server = await start(database);
    await send(server.url, 'bob', 'since the upgrade');
    const cursor = await headCursor(server.url);
    await server.stop();
    const [copy = ''] = copiesOf(database);
    for (const part of ['-wal', '-shm']) rmSync(database + part, { force: true });
    renameSync(copy, database);
    expect(contentOf(database)).toEqual(contentOf(originalOf(version)));
    const again = await start(database);
    await expectAnswersOf(version, again.url);
    await send(again.url, 'bob', 'after the way back');
    const device = await DeviceStream.open(again.url, 'recipient=bob', { lastEventId: cursor });
    await liveOf(device);
    expect(device.gap).toBe('restored');
    device.cut();
  });

  test('a second upgrade keeps a second copy, and overwrites none', async () => {
    const database = databaseOf(version);
    await (await start(database)).stop();
    const [first = ''] = copiesOf(database);
    const kept = readFileSync(first);
    // Back by a copy of the copy, and on with it.
    copyFileSync(first, database);
    withDatabase(database, (file) => file.exec('UPDATE messages SET content = \'"more"\' WHERE id = 1'));
    await (await start(database)).stop();
    expect(readFileSync(first)).toEqual(kept);
    const [second = '', ...others] = copiesOf(database).filter((copy) => copy !== first);
    expect(others).toEqual([]);
    const contents = withDatabase(second, (file) =>
      file.prepare('SELECT content FROM messages WHERE id = 1').pluck().all(),
    );
    expect(contents).toEqual(['"more"']);
  });

  test('an old database is upgraded without a copy if UPGRADE_COPY is none, which is logged', async () => {
    const database = databaseOf(version);
    const server = await Server.start({ database, env: { ...QUIET, UPGRADE_COPY: 'none' } });
    await expectAnswersOf(version, server.url);
    expect(copiesOf(database)).toEqual([]);
    expect(server.stderr).toContain('without a copy, as UPGRADE_COPY says');
  });
});

describe('the recorded migrations', () => {
  test.each([
    [
      'edited',
      "UPDATE migrations SET sha256 = 'beef' WHERE version = 3",
      /was made with another migration 3: 0003-conversation-expiry\.sql \(SHA-256 beef…\), and this program has 0003-conversation-expiry\.sql \(7a348ab242e5…\)/,
    ],
    [
      'replaced',
      "UPDATE migrations SET name = '0009-other.sql', sha256 = 'beef' WHERE version = 9",
      /was made with another migration 9: 0009-other\.sql \(SHA-256 beef…\), and this program has 0009-migrations\.sql/,
    ],
    [
      'missing',
      'DELETE FROM migrations WHERE version = 5',
      /has no record of migration 5 \(0005-retention-time\.sql\), though its schema version is 9/,
    ],
  ])('an applied migration that is %s ends the start, and nothing is changed', async (_what, sql, says) => {
    const database = await databaseOfToday();
    const rows = withDatabase(database, (file) => {
      const before = file.prepare('SELECT * FROM migrations').all();
      file.exec(sql);
      return before;
    });
    const before = filesBeside(database);
    const line = await refused(database);
    expect(line).toMatch(/^tidings: [^\n]+\n$/);
    expect(line).toContain(`tidings: ${database} `);
    expect(line).toMatch(says);
    expect(line).toContain('Nothing was changed. Start the version of Tidings that wrote it');
    expect(filesBeside(database)).toEqual(before);
    withDatabase(database, (file) => {
      const insert = file.prepare(
        'INSERT OR REPLACE INTO migrations VALUES (:version, :name, :sha256, :appliedAt)',
      );
      for (const row of rows) insert.run(row);
    });
    const server = await Server.start({ database });
    expect(await pullAll(server.url, 'bob')).toHaveLength(3);
  });
});

test('a new database records when each migration was applied, an older one only for those since', async () => {
  const rowsIn = (file: string): unknown[] =>
    withDatabase(file, (database) =>
      database
        .prepare('SELECT version, name, appliedAt IS NULL FROM migrations ORDER BY version')
        .raw()
        .all(),
    );
  const names = readdirSync(new URL('../../db/migrations', import.meta.url)).sort();
  expect(names.at(-1)).toBe(NEWEST);
  expect(rowsIn(await databaseOfToday())).toEqual(names.map((name, index) => [index + 1, name, 0]));
  const older = databaseOf('schema-8');
  await (await start(older)).stop();
  expect(rowsIn(older)).toEqual(names.map((name, index) => [index + 1, name, index < 8 ? 1 : 0]));
});

test.each(EARLIER_VERSIONS)(
  'a failed migration of a database of %s is named with the message of SQLite, and nothing is changed',
  async (version, schema) => {
    const database = databaseOf(version);
    // The last of the migrations fails. Those before it are undone with it.
    withDatabase(database, (file) => file.exec('CREATE TABLE migrations (other TEXT)'));
    const before = contentOf(database);
    for (let times = 1; times <= 2; times++) {
      const said = await refused(database);
      const lines = said.trimEnd().split('\n');
      expect(lines).toHaveLength(2);
      expect(lines.find((line) => line.startsWith('tidings: '))).toBe(
        `tidings: ${database} cannot be brought to schema version ${SCHEMA}: the migration ${NEWEST} failed (SQLITE_ERROR: ` +
          'table migrations already exists). Nothing was changed. Start the previous version of Tidings, which can still open ' +
          'it: docs/upgrades.md says more.',
      );
      const log = lines.find((line) => line.startsWith('{')) ?? '';
      expect(JSON.parse(log)).toMatchObject({ schema, next: SCHEMA, copy: copiesOf(database)[0] });
      expect(contentOf(database)).toEqual(before);
      // However often it is tried, there is one copy.
      expect(copiesOf(database)).toHaveLength(1);
    }
    withDatabase(database, (file) => file.exec('DROP TABLE migrations'));
    const server = await start(database);
    await expectAnswersOf(version, server.url);
  },
);

test('a start on a damaged old database changes nothing and keeps no copy', async () => {
  const database = databaseOf('schema-8');
  const bytes = readFileSync(database);
  const page = withDatabase(database, (file) =>
    file.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'messages'").pluck().get(),
  ) as number;
  bytes.fill(0xa5, (page - 1) * 4096 + 8, page * 4096);
  writeFileSync(database, bytes);
  const line = await refused(database);
  expect(line).toMatch(
    /^tidings: [^\n]*tidings\.sqlite is (corrupt|damaged) \([^\n]*Restore [^\n]*backup[^\n]*\n$/,
  );
  expect(readFileSync(database)).toEqual(bytes);
  expect(copiesOf(database)).toEqual([]);
  expect(readdirSync(dirname(database)).filter((name) => name.includes('copying'))).toEqual([]);
});

/** A database of a version on a disk of 8 MiB, of which other files have some. */
async function onSmallDisk(version: string, mebibytesOfOthers: number): Promise<SmallDisk> {
  const other = await Server.start();
  await other.stop();
  const disk = new SmallDisk(8);
  copyFileSync(originalOf(version), disk.database);
  copyFileSync(`${other.database}-vapid.json`, `${disk.database}-vapid.json`);
  writeFileSync(join(disk.folder, 'others'), Buffer.alloc(mebibytesOfOthers * 1024 * 1024));
  return disk;
}

diskTest(
  'a start without room for a copy ends with the numbers, and goes on without a copy if told so',
  async () => {
    const { database } = await onSmallDisk('tidings-0.1.0', 7);
    const before = filesBeside(database);
    const line = await refused(database);
    expect(line).toMatch(
      /^tidings: \S+ has schema version 6, and is copied before this version changes it\. Its disk has no room for the copy: the database has 108 KiB, 8\d\d(\.\d)? KiB are free, and 2\d\d(\.\d)? KiB more are needed\. Nothing was changed\. Make room there, then start again; or copy the database elsewhere, and start once with UPGRADE_COPY=none\.\n$/,
    );
    expect(filesBeside(database).filter(([name]) => !name.endsWith('-lock'))).toEqual(before);
    const server = await Server.start({ database, env: { ...QUIET, UPGRADE_COPY: 'none' } });
    expect(await pullAll(server.url, 'room')).toHaveLength(21);
    expect(copiesOf(database)).toEqual([]);
  },
);

diskTest('a copy uses the room of the reserve if there is no other room', async () => {
  const { database } = await onSmallDisk('tidings-0.1.0', 5);
  writeFileSync(`${database}-reserve`, Buffer.alloc(2 * 1024 * 1024));
  const server = await start(database);
  expect(await pullAll(server.url, 'room')).toHaveLength(21);
  expect(copiesOf(database).map(contentOf)).toEqual([contentOf(originalOf('tidings-0.1.0'))]);
});
