import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { makeReady } from '../../src/log/replica/database.ts';
import {
  type Content,
  contentOf,
  copiesOf,
  databaseOf,
  expectAnswersOf,
  originalOf,
  QUIET,
} from '../support/earlier-versions.ts';
import { copyDatabase } from '../support/file.ts';
import { cleanUp, Server } from '../support/server.ts';
import { tracedTest } from '../support/trace.ts';

const VERSION = 'tidings-0.1.0';
const PROGRAM = join(import.meta.dirname, '../support/upgrade-process.js');

afterEach(cleanUp);

/** Tables with what differs from one migration to the next: the time, and the name that a log gets. */
const OF_ITS_OWN = ['migrations', 'position'];

let before: Content;
let after: Content;
beforeAll(() => {
  before = comparable(originalOf(VERSION));
  const database = databaseOf(VERSION);
  migrate(database);
  after = comparable(database);
  expect([before.version, after.version]).toEqual([6, 9]);
});

function comparable(file: string): Content {
  const { rows, ...others } = contentOf(file);
  return { ...others, rows: rows.filter(([table]) => !OF_ITS_OWN.includes(table)) };
}

function migrate(database: string): void {
  const logger = pino({ level: 'silent' });
  makeReady(database, () => undefined, { keepsCopy: true, logger });
}

/** Returns the arguments of strace that kill a program at a system call; `path`: only those on this file count. */
function killAt(call: string, time: number, path?: string): string[] {
  return [
    ...['-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`],
    ...['-e', `inject=${call}:signal=KILL:when=${time}`],
    ...(path === undefined ? [] : ['-P', path]),
  ];
}

/** Migrates a database in a process that is killed at a system call. @returns whether it came that far */
function migrateUntil(call: string, time: number, database: string): boolean {
  const args = [...killAt(call, time), process.execPath, PROGRAM, database];
  const { status, signal } = spawnSync('strace', args, { stdio: 'ignore' });
  expect(status === 0 || signal === 'SIGKILL').toBe(true);
  return signal === 'SIGKILL';
}

/** Checks a database of which the migration was killed: it is as it was or migrated, and each copy is whole. */
function expectWhole(database: string): void {
  const found = comparable(database);
  expect(found).toEqual(found.version === before.version ? before : after);
  const copies = copiesOf(database);
  for (const copy of copies) expect(comparable(copy)).toEqual(before);
  // There is a copy before anything is changed.
  if (found.version === after.version) expect(copies).toHaveLength(1);
}

/** Checks that the start after that has done all, with one copy. */
function expectMigrated(database: string): void {
  expect(comparable(database)).toEqual(after);
  expect(copiesOf(database).map(comparable)).toEqual([before]);
  expect(readdirSync(dirname(database)).filter((name) => name.includes('copying'))).toEqual([]);
}

describe('a migration that is killed', () => {
  tracedTest.each(['pwrite64', 'fsync', 'ftruncate', 'rename', 'unlink'])(
    'a migration that is killed at any %s leaves a whole database, and the next start finishes it',
    (call) => {
      let kills = 0;
      for (; ; kills++) {
        const database = databaseOf(VERSION);
        if (!migrateUntil(call, kills + 1, database)) {
          expectMigrated(database);
          break;
        }
        expectWhole(database);
        migrate(database);
        expectMigrated(database);
      }
      expect(kills).toBeGreaterThan(0);
    },
  );
});

test('a copy that a loss of power interrupted before it had its name is made again', () => {
  const database = databaseOf(VERSION);
  // The interrupted copy is not a database.
  copyDatabase(PROGRAM, `${database}-copying`);
  migrate(database);
  expectMigrated(database);
});

describe('an upgrade that is killed', () => {
  tracedTest.each([
    ['in the middle of the copy', 'pwrite64', 5, '-copying'],
    ['when the copy gets its name', 'rename', 1, '-copying'],
    ['when the migration is written', 'pwrite64', 2, '-wal'],
    ['when the migration is flushed', 'fsync', 2, '-wal'],
  ] as const)('a service killed %s serves all at its next start', async (_when, call, time, suffix) => {
    const database = databaseOf(VERSION);
    const wrapper = ['strace', ...killAt(call, time, database + suffix)];
    const killed = await Server.run({ database, env: QUIET, wrapper });
    expect(killed).toMatchObject({ signal: 'SIGKILL', stdout: '' });
    expectWhole(database);
    const server = await Server.start({ database, env: QUIET });
    await expectAnswersOf(VERSION, server.url);
    expect(copiesOf(database).map(comparable)).toEqual([before]);
  });
});
