import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { dumpSchema } from '../../db/dump-schema.js';
import { openForWriting } from '../../src/log/database.ts';
import { cleanUp, newFolder } from '../support/server.ts';

afterAll(cleanUp);

test('db/schema.sql is what the migrations make', () => {
  const file = new URL('../../db/schema.sql', import.meta.url);
  expect(readFileSync(file, 'utf8')).toBe(dumpSchema());
});

test('the migrations install the schema; a second run does no harm', () => {
  const file = join(newFolder(), 'folder', 'tidings.sqlite');
  const dump = (): unknown => {
    const database = openForWriting(file);
    database.exec("INSERT OR IGNORE INTO runs (firstId, tag) VALUES (1, 'kept')");
    const schema = database.prepare('SELECT name, sql FROM sqlite_schema').all();
    const facts = [schema, database.prepare('SELECT * FROM runs').all(), database.pragma('user_version')];
    database.close();
    return facts;
  };
  expect(dump()).toEqual(dump());
});
