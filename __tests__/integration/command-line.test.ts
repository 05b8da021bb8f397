import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { publish, send } from '../support/api.ts';
import { readNumber, withDatabase } from '../support/file.ts';
import { oldDatabase } from '../support/old-database.ts';
import { headCursor, liveOf, pullAll } from '../support/pull.ts';
import { cleanUp, type Ended, newFolder, Server, undoAtEnd } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { SECRET } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const ROOT = join(import.meta.dirname, '../..');
const KILL_AT_STEP = pathToFileURL(join(import.meta.dirname, '../support/kill-at-step.js')).href;

afterEach(cleanUp);

type Env = Readonly<Record<string, string>>;

/** Runs a command on a database. */
function run(args: readonly string[], database: string, env: Env = {}): Promise<Ended> {
  return Server.run({ args, database, env, tap: false });
}

/** Runs a command that kills itself at a step. @returns whether it came that far */
async function isKilledAt(step: number, args: readonly string[], database: string): Promise<boolean> {
  const nodeArgs = ['--import', KILL_AT_STEP];
  const env = { KILL_AT_STEP: String(step) };
  const ended = await Server.run({ args, database, env, nodeArgs, tap: false });
  if (ended.signal === 'SIGKILL') return true;
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  return false;
}

/** Runs a command that is expected to succeed. @returns what it printed */
async function done(args: readonly string[], database: string, env: Env = {}): Promise<string> {
  const ended = await run(args, database, env);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  return ended.stdout;
}

/** Runs a command that is expected to fail with one line. @returns the line */
async function failed(args: readonly string[], database: string, code = 1): Promise<string> {
  const ended = await run(args, database);
  expect(ended).toMatchObject({ code, stdout: '' });
  expect(ended.stderr).toMatch(/^tidings: [^\n]+\n$/);
  return ended.stderr;
}

/** The digest of each file in a folder. */
function digests(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder).map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
    ]),
  );
}

const newest = (file: string): number => readNumber(file, 'SELECT max(id) FROM messages');
const keyOf = (file: string): string => readFileSync(`${file}-vapid.json`, 'utf8');

/** A database with messages, whose service has ended. */
async function databaseWith(count: number): Promise<string> {
  const server = await Server.start();
  await publishMore(server, count);
  await server.stop();
  return server.database;
}

async function publishMore(server: Server, count: number): Promise<void> {
  const batch = Array.from({ length: count }, (_, index) => ({ recipient: 'bob', content: index }));
  expect((await publish(server.url, batch)).status).toBe(201);
}

/** Overwrites the second half of a file. */
function damage(file: string): void {
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.fill(0xa5, bytes.length / 2));
}

describe('the command line', () => {
  test.each([
    [[]],
    [['serve']],
    [['token']],
    [['backup']],
    [['restore']],
    [['check']],
    [['healthcheck']],
    [['cluster']],
  ])('the command line explains %j, with examples', async (command) => {
    const help = await done([...command, '--help'], 'none.sqlite');
    expect(help).toMatch(new RegExp(`^Usage: tidings \\[?${command.join(' ')}`));
    expect(help).toMatch(/^Examples:\n {2}\S/m);
    expect(await done([...command, '-h'], 'none.sqlite')).toBe(help);
  });

  test('the program prints its version, which is that of the package, and npm can link it', async () => {
    const { version, bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      version: string;
      bin: { tidings: string };
    };
    expect(await done(['--version'], 'none.sqlite')).toBe(`tidings ${version}\n`);
    expect(readFileSync(join(ROOT, bin.tidings), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  test.each([
    [
      ['bakup', 'x'],
      'There is no command "bakup". Did you mean "backup"? tidings --help lists the commands.',
    ],
    [['x'], 'There is no command "x". tidings --help lists the commands.'],
    [['toString'], 'There is no command "toString".'],
    [['--prot', '1'], "Unknown option '--prot'."],
    [['serve', '--prot', '1'], "Unknown option '--prot'."],
    [['token', '--sub'], "Option '--sub <value>' argument missing."],
    [['token', '--sub', 'a', '--expires', 'soon'], '--expires must be a number followed by s, m, h or d'],
    [['backup'], 'backup needs a FILE: tidings backup --help shows how.'],
    [['backup', 'a', 'b'], 'backup does not know what to do with "b"'],
    [['restore'], 'restore needs a FILE: tidings restore --help shows how.'],
    [['check', 'a'], 'check does not know what to do with "a"'],
    [['cluster', 'x'], 'There is no command "x": cluster --help lists them.'],
  ])('the arguments %j end the program with code 2 and one line', async (args, line) => {
    expect(await failed(args, join(newFolder(), 'none.sqlite'), 2)).toContain(line);
  });

  test('the command serve does the same as no command', async () => {
    const server = await Server.start({ args: ['serve', '--retention-days', '7'] });
    expect(server.stdout).toContain('Messages are kept for 7 days');
    expect((await server.stop()).code).toBe(0);
  });

  test('the program loads only the modules that the command needs', async () => {
    const coverage = newFolder();
    const env = { AUTH_SECRET: SECRET, NODE_V8_COVERAGE: coverage };
    const ended = await Server.run({ args: ['token', '--sub', 'bob'], env, tap: false, isShipped: true });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const [report = ''] = readdirSync(coverage);
    const text = readFileSync(join(coverage, report), 'utf8');
    expect(text).toContain('/dist/cli/token.js');
    expect(text).not.toMatch(/better-sqlite3|node_modules\/express|@nats-io|dist\/service\.js/);
  });
});

test('token prints a token that is signed with the secret, and fails without a secret', async () => {
  const args = ['token', '--sub', 'alice', '--send-to', 'bob'];
  const token = await done(args, 'none.sqlite', { AUTH_SECRET: SECRET });
  expect(decodeJwt(token.trim())).toMatchObject({ sub: 'alice', tidings: { sendTo: ['bob'] } });
  expect(await failed(args, 'none.sqlite')).toContain('AUTH_SECRET is not set');
});

describe('backup', () => {
  test('backup copies one moment of a busy service, with the key, for this user alone', async () => {
    const server = await Server.start();
    await publishMore(server, 500);
    const file = join(newFolder(), 'backup.sqlite');
    const ending = new AbortController();
    const written = (async () => {
      while (!ending.signal.aborted) await send(server.url, 'bob', 'more');
    })();
    const said = await done(['backup', file], server.database);
    ending.abort();
    await written;
    const count = readNumber(file, 'SELECT count(*) FROM messages');
    expect(count).toBeGreaterThanOrEqual(500);
    expect(newest(file)).toBe(count);
    expect(readNumber(file, 'SELECT head FROM position')).toBe(count);
    expect(said).toContain(`messages up to ${count}, `);
    expect(keyOf(file)).toBe(keyOf(server.database));
    expect(readdirSync(dirname(file)).toSorted()).toEqual(['backup.sqlite', 'backup.sqlite-vapid.json']);
    for (const each of [file, `${file}-vapid.json`]) expect(statSync(each).mode & 0o777).toBe(0o600);
    expect((await pullAll(server.url, 'bob')).length).toBeGreaterThanOrEqual(count);
  });

  test('backup makes nothing if it cannot make a whole backup, and says why', async () => {
    const database = await databaseWith(200);
    const folder = newFolder();
    const file = join(folder, 'backup.sqlite');
    writeFileSync(join(folder, 'present'), 'mine');
    expect(await failed(['backup', join(folder, 'present')], database)).toContain(
      'exists already: name a new',
    );
    expect(await failed(['backup', join(folder, 'none/b')], database)).toContain('none is not a folder');
    expect(await failed(['backup', file], join(folder, 'none.sqlite'))).toContain(
      'none.sqlite does not exist',
    );
    expect(await failed(['backup', file], join(folder, 'present'))).toContain('is not a SQLite database');
    writeFileSync(`${file}-vapid.json`, keyOf(await databaseWith(1)));
    expect(await failed(['backup', file], database)).toContain('exists already, with a different key');
    rmSync(`${file}-vapid.json`);
    damage(database);
    expect(await failed(['backup', file], database)).toContain(`${database} is corrupt`);
    expect(digests(folder)).toEqual({ present: createHash('sha256').update('mine').digest('hex') });
  });

  test('a backup that is killed at any step leaves no file of that name, or a whole one, and can be repeated', async () => {
    const database = await databaseWith(50);
    let steps = 0;
    for (; ; steps++) {
      const file = join(newFolder(), 'backup.sqlite');
      const isKilled = await isKilledAt(steps, ['backup', file], database);
      if (existsSync(file)) expect([newest(file), keyOf(file)]).toEqual([50, keyOf(database)]);
      if (!isKilled) break;
      if (!existsSync(file)) await done(['backup', file], database);
      expect(newest(file)).toBe(50);
    }
    expect(steps).toBeGreaterThan(6);
  });

  test('a backup that is killed while it copies leaves no file of that name, and the next one removes its rest', async () => {
    const database = await databaseWith(10);
    withDatabase(database, (file) => {
      file.exec('CREATE TABLE ballast (content BLOB)');
      for (let index = 0; index < 60; index++) file.exec('INSERT INTO ballast VALUES (randomblob(1000000))');
    });
    const file = join(newFolder(), 'backup.sqlite');
    const backup = Server.launch({ args: ['backup', file], database, tap: false });
    const isCopying = (): boolean =>
      readdirSync(dirname(file)).some((name) => /-unfinished-[0-9a-f]{8}$/.test(name));
    await until(isCopying, 'the copy to begin');
    await backup.kill();
    expect(existsSync(file)).toBe(false);
    await done(['backup', file], database);
    expect(newest(file)).toBe(10);
    expect(readdirSync(dirname(file))).toHaveLength(2);
  });
});

describe('restore', () => {
  test('a restore is told to every device that had seen more, and to no other', async () => {
    const backup = join(newFolder(), 'backup.sqlite');
    let server = await Server.start();
    const { database } = server;
    await publishMore(server, 5);
    const fifth = await headCursor(server.url);
    await done(['backup', backup], database);
    await publishMore(server, 5);
    const tenth = await headCursor(server.url);
    expect(await failed(['restore', backup], database)).toContain('is held by another Tidings process');
    await server.stop();
    const said = await done(['restore', backup], database);
    expect(said).toContain(`${database} was restored from ${backup}: messages up to 5, `);

    server = await Server.start({ database });
    const comeBack = async (lastEventId: string): Promise<unknown[]> => {
      const device = await DeviceStream.open(server.url, 'recipient=bob', { lastEventId });
      await liveOf(device);
      device.cut();
      return [device.gap, device.messages.map(({ id }) => id)];
    };
    expect(await comeBack(tenth)).toEqual(['restored', [1, 2, 3, 4, 5]]);
    expect(await comeBack(fifth)).toEqual([false, []]);
    await publishMore(server, 6);
    expect(await comeBack(tenth)).toEqual(['restored', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]);
    expect(await comeBack(fifth)).toEqual([false, [6, 7, 8, 9, 10, 11]]);

    // The previous database can be restored like any backup.
    await server.stop();
    const aside = readdirSync(dirname(database)).find((name) => /-before-\d{8}T\d{6}Z$/.test(name)) ?? '';
    await done(['restore', join(dirname(database), aside)], database);
    server = await Server.start({ database });
    expect(await comeBack(tenth)).toEqual([false, []]);
  });

  test('restore takes the key along, and keeps the earlier key beside the earlier database', async () => {
    const [database, other] = [await databaseWith(1), await databaseWith(2)];
    const keys = [keyOf(database), keyOf(other)];
    const backup = join(newFolder(), 'backup.sqlite');
    await done(['backup', backup], other);
    const said = await done(['restore', backup], database);
    const aside = /is in (\S+-before-\S+)\.$/m.exec(said)?.[1] ?? '';
    expect([newest(database), keyOf(database)]).toEqual([2, keys[1]]);
    expect([newest(aside), keyOf(aside)]).toEqual([1, keys[0]]);
    rmSync(`${backup}-vapid.json`);
    expect(await done(['restore', backup], database)).toContain(
      'the key for notifications was left as it is',
    );
    expect(keyOf(database)).toBe(keys[1]);
  });

  test('restore replaces nothing if the backup is not sound, and says why', async () => {
    const database = await databaseWith(1);
    const folder = newFolder();
    const backup = join(folder, 'backup.sqlite');
    const before = digests(dirname(database));
    const line = (file = backup): Promise<string> => failed(['restore', file], database);
    expect(await line()).toContain(`${backup} does not exist`);
    writeFileSync(backup, 'no database');
    expect(await line()).toContain(`${backup} is not a SQLite database`);
    copyFileSync(await databaseWith(500), backup);
    damage(backup);
    expect(await line()).toContain(`${backup} is damaged (`);
    copyFileSync(database, backup);
    withDatabase(backup, (file) => file.pragma('user_version = 99'));
    expect(await line()).toContain(`${backup} has schema version 99`);
    withDatabase(backup, (file) => file.pragma('application_id = 1'));
    expect(await line()).toContain(`${backup} is a database of another program`);
    expect(await line(database)).toContain(`${database} is the database itself`);
    const running = await Server.start();
    expect(await line(running.database)).toContain('is the database of a running service');
    expect(digests(dirname(database))).toEqual(before);
  });

  test('restore takes the write-ahead log beside a backup along, and accepts a backup of an older version', async () => {
    const server = await Server.start();
    await publishMore(server, 3);
    await server.kill();
    expect(existsSync(`${server.database}-wal`)).toBe(true);
    const database = join(newFolder(), 'tidings.sqlite');
    await done(['restore', server.database], database);
    expect(newest(database)).toBe(3);
    const old = join(newFolder(), 'old.sqlite');
    oldDatabase(old).close();
    expect(await done(['restore', old], database)).toContain('The next start brings its schema up to date.');
    const again = await Server.start({ database });
    expect(await pullAll(again.url, 'bob')).toHaveLength(4);
  });

  test('a restore that is killed at any step leaves either database whole, and finishes when it is repeated', async () => {
    const backup = join(newFolder(), 'backup.sqlite');
    await done(['backup', backup], await databaseWith(2));
    const crashed = await Server.start();
    await publishMore(crashed, 1);
    await crashed.kill();
    let steps = 0;
    for (; ; steps++) {
      const database = join(newFolder(), 'tidings.sqlite');
      for (const part of ['', '-wal', '-vapid.json']) copyFileSync(crashed.database + part, database + part);
      const isKilled = await isKilledAt(steps, ['restore', backup], database);
      expect([1, 2]).toContain(newest(database));
      if (!isKilled) break;
      await done(['restore', backup], database);
      expect([newest(database), keyOf(database)]).toEqual([2, keyOf(backup)]);
      const others = readdirSync(dirname(database)).filter((name) => /-before-\w+$/.test(name));
      expect(others.map((name) => newest(join(dirname(database), name)))).toContain(1);
      expect(existsSync(`${database}-restoring`)).toBe(false);
      expect(statSync(database).nlink).toBe(1);
    }
    expect(steps).toBeGreaterThan(8);
  });
});

describe('check', () => {
  const wrongLines = ({ stdout }: Ended): string[] =>
    stdout.split('\n').filter((line) => line.includes(' WRONG '));

  test('check finds nothing wrong with a sound database, whether its service runs or not, and changes nothing', async () => {
    const server = await Server.start();
    await publishMore(server, 3);
    const beside = await done(['check'], server.database);
    expect(beside).toMatch(/^service +ok +running$/m);
    expect(beside).toMatch(/^integrity +ok +sound, with messages up to 3$/m);
    await server.stop();
    const before = digests(dirname(server.database));
    const said = await done(['check'], server.database);
    expect(said).toMatch(/^service +ok +not running$/m);
    expect(said.match(/^\w+ +ok /gm)).toHaveLength(6);
    expect(digests(dirname(server.database))).toMatchObject(before);
  });

  test('check says which migrations the next start applies to an older schema', async () => {
    const old = join(newFolder(), 'old.sqlite');
    oldDatabase(old).close();
    chmodSync(old, 0o600);
    expect(await done(['check'], old)).toMatch(
      /^schema +ok +version 6; the next start applies \d migrations/m,
    );
  });

  test('check ends with code 1 and names the fault if the database is missing, open to others, or damaged', async () => {
    const folder = newFolder();
    const missing = await run(['check'], join(folder, 'none.sqlite'));
    expect([missing.code, wrongLines(missing)]).toEqual([1, [expect.stringContaining('does not exist')]]);

    const open = await databaseWith(1);
    chmodSync(open, 0o604);
    chmodSync(dirname(open), 0o755);
    const readable = await run(['check'], open);
    expect([readable.code, wrongLines(readable)]).toEqual([
      1,
      [expect.stringContaining('all users can read')],
    ]);

    const damaged = await databaseWith(500);
    damage(damaged);
    const corrupt = await run(['check'], damaged);
    expect([corrupt.code, wrongLines(corrupt)]).toEqual([1, [expect.stringMatching(/^integrity /)]]);
  });
});

describe('healthcheck', () => {
  test('healthcheck asks the service at its configured address, also if that is all addresses', async () => {
    const server = await Server.start({ env: { HOST: '0.0.0.0', AUTH_SECRET: SECRET } });
    const env = { HOST: '0.0.0.0', PORT: new URL(server.url).port };
    expect(await done(['healthcheck'], 'none.sqlite', env)).toContain('/healthz answers 200');
    const flags = ['--ready', '--host', '127.0.0.1', '--port', env.PORT];
    expect(await done(['healthcheck', ...flags], 'none.sqlite')).toContain('/readyz answers 200');
    await server.stop();
    expect(await failed(['healthcheck', ...flags], 'none.sqlite')).toContain(
      'does not answer (ECONNREFUSED)',
    );
  });

  test('healthcheck ends with code 1 if the service is not well, and for a wrong command line', async () => {
    const sick = createServer((_, response) => response.writeHead(503).end('Not ready: its disk is full'));
    sick.listen(0, '127.0.0.1');
    await once(sick, 'listening');
    undoAtEnd(() => sick.close());
    const port = String((sick.address() as AddressInfo).port);
    const line = await failed(['healthcheck', '--ready', '--port', port], 'none.sqlite');
    expect(line).toContain('answers 503: Not ready: its disk is full');
    expect(await failed(['healthcheck', '--prot', '1'], 'none.sqlite')).toContain("Unknown option '--prot'");
  });
});

test('a folder in the place of a database is neither backed up, restored nor checked', async () => {
  const folder = newFolder();
  const isNoFile = `${folder} is not a file`;
  expect(await failed(['backup', join(newFolder(), 'backup.sqlite')], folder)).toContain(isNoFile);
  expect(await failed(['restore', folder], join(newFolder(), 'tidings.sqlite'))).toContain(isNoFile);
  const checked = await run(['check'], folder);
  expect([checked.code, checked.stdout]).toEqual([1, expect.stringContaining(isNoFile)]);
});
