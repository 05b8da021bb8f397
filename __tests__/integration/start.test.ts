import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, describe, expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import { withDatabase } from '../support/file.ts';
import { pullAll } from '../support/pull.ts';
import { cleanUp, newFolder, Server, type ServerOptions, WITHOUT_PRIVILEGE } from '../support/server.ts';

afterEach(cleanUp);

function digest(file: string): string | undefined {
  return existsSync(file) ? createHash('sha256').update(readFileSync(file)).digest('hex') : undefined;
}

/** Starts a server that cannot start: it ends with 1 and one line, which is given back, and touches nothing. */
async function refusedStart(options: ServerOptions & { readonly database: string }): Promise<string> {
  const before = digest(options.database);
  const folder = readdirSync(join(options.database, '..'));
  const ended = await Server.run(options);
  expect(ended).toMatchObject({ code: 1, signal: null, stdout: '' });
  expect(ended.stderr).toMatch(/^tidings: [^\n]+\n$/);
  expect(ended.stderr).not.toMatch(/ {2}|\n {4}at |undefined|\[object/);
  expect(digest(options.database)).toBe(before);
  // Beside it there is at the most the lock, and what a reader of SQLite makes: nothing that is to be read.
  const added = readdirSync(join(options.database, '..')).filter((name) => !folder.includes(name));
  const full = added.filter((name) => statSync(join(options.database, '..', name)).size > 0);
  expect(full.filter((name) => !/-lock|-shm$/.test(name))).toEqual([]);
  return ended.stderr;
}

/** A database with messages in it, whose server has ended. */
async function writtenDatabase(count = 3): Promise<string> {
  const server = await Server.start();
  for (let index = 0; index < count; index++) await send(server.url, 'bob', index);
  expect((await server.stop()).code).toBe(0);
  return server.database;
}

/** Overwrites bytes of a file. */
function damage(file: string, position: number, length: number): void {
  const descriptor = openSync(file, 'r+');
  writeSync(descriptor, Buffer.alloc(length, 0xa5), 0, length, position);
  closeSync(descriptor);
}

// The first table is read before the thread that writes is there, the second one by that thread alone.
test.each(['conversations', 'pushNotices'])(
  'the start ends with one line, without a report of a failed write, if the database lacks the table %s',
  async (table) => {
    const database = await writtenDatabase();
    withDatabase(database, (file) => file.exec(`DROP TABLE ${table}`));
    const line = `${database} cannot be opened (SQLITE_ERROR: no such table: ${table}). Fix that, or set DATABASE to another path.`;
    expect(await Server.run({ database })).toMatchObject({
      code: 1,
      signal: null,
      stdout: '',
      stderr: `tidings: ${line}\n`,
    });
  },
);

describe('a start that fails', () => {
  test('a start on a port in use ends with one line that says so and what to do', async () => {
    const other = await Server.start();
    const database = join(newFolder(), 'tidings.sqlite');
    const line = await refusedStart({ database, port: other.port });
    expect(line).toContain(`PORT ${other.port} on 127.0.0.1 is in use`);
    expect(line).toContain('set PORT to another');
    // The other one does not mind.
    await send(other.url, 'bob', 'hi');
  });

  test('a start on a text file ends with one line that says so and what to do', async () => {
    const database = join(newFolder(), 'notes.txt');
    writeFileSync(database, 'milk, bread, and a longer line that is no header of anything\n');
    const line = await refusedStart({ database });
    expect(line).toContain(`${database} is not a SQLite database. Set DATABASE to another path`);
  });

  test('a start on a database of another program ends with one line that says so and what to do', async () => {
    const database = join(newFolder(), 'other.sqlite');
    const other = new Sqlite(database);
    other.exec('CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES (1), (2)');
    other.close();
    const line = await refusedStart({ database });
    expect(line).toContain(`${database} is a database of another program. Set DATABASE to another path.`);
  });

  test('a start on a folder ends with one line that says so and what to do', async () => {
    const database = newFolder();
    const ended = await Server.run({ database });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toBe(`tidings: ${database} is not a file. Set DATABASE to a file's path.\n`);
  });

  test('a start on a database whose first page is damaged ends with one line that says so and what to do', async () => {
    const database = await writtenDatabase();
    damage(database, 100, 3900);
    const line = await refusedStart({ database });
    expect(line).toContain(`${database} is corrupt`);
    expect(line).toContain('Restore it from a backup');
  });

  test('a start on a database that was cut short ends with one line that says so', async () => {
    const database = await writtenDatabase();
    writeFileSync(database, readFileSync(database).subarray(0, 1000));
    const line = await refusedStart({ database });
    expect(line).toContain(database);
    expect(line).toMatch(/is corrupt|is not a SQLite database/);
  });

  test('a start on a database of a newer version ends with one line that says so and what to do', async () => {
    const database = await writtenDatabase();
    const known = withDatabase(database, (file) => {
      const version = file.pragma('user_version', { simple: true }) as number;
      file.pragma('user_version = 99');
      return version;
    });
    const line = await refusedStart({ database });
    expect(line).toContain(
      `${database} has schema version 99; this version of Tidings knows up to ${known}.`,
    );
    expect(line).toContain('Start the newer version');
    withDatabase(database, (file) => file.pragma(`user_version = ${known}`));
    const server = await Server.start({ database });
    expect(await pullAll(server.url, 'bob')).toHaveLength(3);
  });

  test('a start on a database of another process ends with one line, by whichever path it is named', async () => {
    const holder = await Server.start();
    await send(holder.url, 'bob', 'hi');
    const held = `is held by another Tidings process. Stop that one, or set DATABASE to another path.`;
    expect(await refusedStart({ database: holder.database })).toContain(held);
    const roundabout = join(holder.database, '..', '.', 'tidings.sqlite');
    expect(await refusedStart({ database: roundabout })).toContain(held);
    // A crash frees it at once.
    await holder.kill();
    const next = await Server.start({ database: holder.database });
    expect(await pullAll(next.url, 'bob')).toHaveLength(1);
  });

  test('a start on a database that another program has locked ends with one line that says so and what to do', async () => {
    const database = await writtenDatabase();
    const other = new Sqlite(database);
    other.pragma('locking_mode = EXCLUSIVE');
    other.exec('BEGIN EXCLUSIVE; UPDATE position SET head = head');
    const ended = await Server.run({ database });
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toMatch(/^tidings: [^\n]+ is locked by another program [^\n]+\n$/);
    expect(ended.stderr).toContain('End that program, then start again.');
    other.exec('ROLLBACK');
    other.close();
  });

  test.each([
    ['the file', 0o444, 0o755],
    ['the folder', 0o644, 0o555],
    ['the file and its folder', 0o444, 0o555],
  ])('a start ends with one line if %s may not be written', async (_, fileMode, folderMode) => {
    const folder = join(newFolder(), 'data');
    mkdirSync(folder);
    const server = await Server.start({ database: join(folder, 'tidings.sqlite') });
    await send(server.url, 'bob', 'hi');
    await server.stop();
    chmodSync(server.database, fileMode);
    chmodSync(folder, folderMode);
    const line = await refusedStart({ database: server.database, wrapper: WITHOUT_PRIVILEGE });
    chmodSync(folder, 0o755);
    expect(line).toContain(server.database);
    expect(line).toContain('cannot be written');
    expect(line).toContain('Give this user the right to write the file and its folder');
  });

  test.each([
    ['a folder that cannot be made', { DATABASE: `${process.execPath}/log.sqlite` }, /cannot be opened/],
    ['a port that is none', { PORT: '70000' }, /^tidings: PORT must be a whole number from 0 to 65535/],
    ['a secret that is too short', { AUTH_SECRET: 'x' }, /^tidings: AUTH_SECRET must have 32 bytes or more/],
    ['a host for all the world', { HOST: '0.0.0.0' }, /^tidings: HOST must be loopback/],
  ])('a start ends with one line if it is given %s', async (_, env, says) => {
    const ended = await Server.run({ env });
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toMatch(/^[^\n]+\n$/);
    expect(ended.stderr).toMatch(says);
  });
});
