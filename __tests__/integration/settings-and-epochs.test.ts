import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { publish, send } from '../support/api.ts';
import { withDatabase } from '../support/file.ts';
import { headCursor } from '../support/pull.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const epochsOf = (file: string): unknown[] =>
  withDatabase(file, (database) => database.prepare('SELECT firstId, epoch FROM epochs').raw().all());
const settingOf = (file: string): unknown =>
  withDatabase(file, (database) =>
    database.prepare("SELECT value FROM settings WHERE name = 'retention'").pluck().get(),
  );

test('a start begins an epoch with its first new id, and no epoch if it only repeats stored messages', async () => {
  const database = join(newFolder(), 'tidings.sqlite');
  const keyed = { recipient: 'bob', content: 1, idempotencyKey: 'k' };
  let server = await Server.start({ database });
  expect((await publish(server.url, keyed)).status).toBe(201);
  const cursor = await headCursor(server.url);
  await server.stop();
  const first = [[1, cursor.slice('1-'.length)]];
  expect(epochsOf(database)).toEqual(first);

  for (const status of [200, 422]) {
    server = await Server.start({ database });
    const repeat = await publish(server.url, { ...keyed, content: status === 200 ? 1 : 2 });
    expect(repeat.status).toBe(status);
    expect(await headCursor(server.url)).toBe(cursor);
    await server.stop();
    expect(epochsOf(database)).toEqual(first);
  }

  server = await Server.start({ database });
  await publish(server.url, keyed);
  await send(server.url, 'bob', 2);
  const next = await headCursor(server.url);
  await server.stop();
  expect(epochsOf(database)).toEqual([...first, [2, next.slice('2-'.length)]]);
  expect(next.slice('2-'.length)).not.toBe(cursor.slice('1-'.length));
});

test('a change of retention is stored once, and logged by the start that makes it', async () => {
  const database = join(newFolder(), 'tidings.sqlite');
  const run = async (days: string): Promise<string | undefined> => {
    const server = await Server.start({ database, env: { RETENTION_DAYS: days } });
    const wanted = JSON.stringify({ days: Number(days), messages: 0 });
    await until(() => settingOf(database) === wanted, 'retention to be noted');
    const { stdout, stderr } = await server.stop();
    return (stdout + stderr).split('\n').find((line) => line.includes('retention was changed'));
  };
  expect(await run('30')).toBeUndefined();
  withDatabase(database, (log) =>
    log.exec(`
      CREATE TABLE writes (value TEXT);
      CREATE TRIGGER made AFTER INSERT ON settings BEGIN INSERT INTO writes VALUES (new.value); END;
      CREATE TRIGGER changed AFTER UPDATE ON settings BEGIN INSERT INTO writes VALUES (new.value); END;
    `),
  );
  expect(await run('30')).toBeUndefined();
  const changed = await run('7');
  expect(changed).toContain('"days":30');
  expect(changed).toContain('"days":7');
  expect(await run('7')).toBeUndefined();
  const writes = withDatabase(database, (log) => log.prepare('SELECT value FROM writes').pluck().all());
  expect(writes).toEqual(['{"days":7,"messages":0}']);
});
