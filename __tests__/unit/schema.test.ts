import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterAll, expect, test } from '@jest/globals';
import { dumpSchema, noteMigrations } from '../../db/dump-schema.js';
import { openForWriting } from '../../src/log/replica/database.ts';
import { oldDatabase } from '../support/old-database.ts';
import { cleanUp, newFolder } from '../support/server.ts';

afterAll(cleanUp);

test('db/schema.sql is the schema that the migrations make', () => {
  const file = new URL('../../db/schema.sql', import.meta.url);
  expect(readFileSync(file, 'utf8')).toBe(dumpSchema());
});

test('no migration was edited after its hash was noted, and the newest has a hash', () => {
  const noted = readFileSync(new URL('../../db/migrations.sha256', import.meta.url), 'utf8');
  expect(noteMigrations(noted)).toBe(noted);
  const [first = '', ...others] = noted.split(/(?<=\n)/);
  expect(noteMigrations(first)).toBe(noted);
  const edited = first.replace(/^\w/, 'x') + others.join('');
  expect(() => noteMigrations(edited)).toThrow(
    /Never edit or remove a released migration.* 0001-messages\.sql/s,
  );
  expect(() => noteMigrations(`${noted}${'0'.repeat(64)}  0099-removed.sql\n`)).toThrow('0099-removed.sql');
});

test('a database of an earlier schema is brought up to date with its content', () => {
  const migrations = new URL('../../db/migrations/', import.meta.url);
  const file = join(newFolder(), 'tidings.sqlite');
  const [first = '', ...later] = readdirSync(migrations).sort();
  const old = new Sqlite(file);
  old.exec(readFileSync(new URL(first, migrations), 'utf8'));
  old.exec("INSERT INTO runs (firstId, tag) VALUES (1, 'kept')");
  old.pragma('application_id = 0x54494447');
  old.pragma('user_version = 1');
  old.close();
  const database = openForWriting(file);
  expect(database.pragma('user_version', { simple: true })).toBe(1 + later.length);
  expect(database.prepare('SELECT firstId, epoch FROM epochs').raw().all()).toEqual([[1, 'kept']]);
  const tables = (one: Sqlite.Database): unknown =>
    one.prepare('SELECT name, sql FROM sqlite_schema ORDER BY name').all();
  const fresh = openForWriting(join(newFolder(), 'tidings.sqlite'));
  expect(tables(database)).toEqual(tables(fresh));
  for (const one of [database, fresh]) one.close();
});

test('a database from before there was an order keeps its messages, epochs, cursors and subscriptions', () => {
  const file = join(newFolder(), 'tidings.sqlite');
  const old = oldDatabase(file);
  const kept = [
    'messages',
    'readMarkers',
    'purged',
    'pairMessages',
    'conversations',
    'pushSubscriptions',
    'pushNotices',
  ];
  const rowsOf = (database: Sqlite.Database): unknown =>
    Object.fromEntries(kept.map((table) => [table, database.prepare(`SELECT * FROM ${table}`).all()]));
  const before = rowsOf(old);
  const place = old.prepare('SELECT * FROM position').get() as object;
  old.close();
  const database = openForWriting(file);
  expect(rowsOf(database)).toEqual(before);
  expect(database.prepare('SELECT firstId, epoch FROM epochs').raw().all()).toEqual([
    [1, 'xss10d'],
    [5, 'gkl347'],
  ]);
  const newest = database.prepare('SELECT createdAt FROM messages WHERE id = 5').pluck().get();
  const position = database.prepare('SELECT * FROM position').get();
  const logId = expect.stringMatching(/^[0-9a-f]{16}$/) as unknown;
  const added = {
    logId,
    sequence: null,
    generation: null,
    mark: '',
    digest: '',
    logTime: newest,
    createdAt: newest,
  };
  expect(position).toEqual({ ...place, ...added });
  database.close();
  const again = openForWriting(file);
  expect(again.prepare('SELECT * FROM position').get()).toEqual(position);
  again.close();
});

test('an empty database from before there was an order begins without a log time', () => {
  const file = join(newFolder(), 'tidings.sqlite');
  const old = oldDatabase(file);
  old.exec('DELETE FROM messages');
  old.close();
  const database = openForWriting(file);
  expect(database.prepare('SELECT head, logTime, createdAt FROM position').raw().get()).toEqual([5, 0, 0]);
  database.close();
});

test('the migrations install the schema, and a second run changes nothing', () => {
  const file = join(newFolder(), 'folder', 'tidings.sqlite');
  const dump = (): unknown => {
    const database = openForWriting(file);
    database.exec("INSERT OR IGNORE INTO epochs (firstId, epoch) VALUES (1, 'kept')");
    const schema = database.prepare('SELECT name, sql FROM sqlite_schema').all();
    const facts = [schema, database.prepare('SELECT * FROM epochs').all(), database.pragma('user_version')];
    database.close();
    return facts;
  };
  expect(dump()).toEqual(dump());
});
