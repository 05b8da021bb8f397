import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { openForWriting } from '../../src/log/replica/database.ts';
import { startIntegrityCheck } from '../../src/log/replica/integrity.ts';
import { draft, prepareAppends } from '../support/log-file.ts';
import { cleanUp, newFolder } from '../support/server.ts';
import { until } from '../support/until.ts';

let stop: () => Promise<void> = () => Promise.resolve();
afterEach(() => stop());
afterAll(cleanUp);

const BOUND = 300_000;

test('a check that keeps the write-ahead log from being reset is given up, and finds damage when it is tried again', async () => {
  const folder = newFolder();
  const file = join(folder, 'tidings.sqlite');
  const runs = join(folder, 'runs');
  const log = openForWriting(file);
  const append = prepareAppends(log);
  append([[draft()]]);
  appendFileSync(runs, '');
  // In the place of the check: its first run reads one snapshot and does not end; the second one finds something.
  const program = join(folder, 'check.mjs');
  const sqlite = pathToFileURL(createRequire(import.meta.url).resolve('better-sqlite3')).href;
  writeFileSync(
    program,
    `import { appendFileSync, readFileSync } from 'node:fs';
    import Sqlite from ${JSON.stringify(sqlite)};
    const database = new Sqlite(process.argv[2], { readonly: true });
    database.exec('BEGIN; SELECT * FROM position');
    database.prepare('SELECT * FROM position').get();
    appendFileSync(${JSON.stringify(runs)}, 'run ' + process.pid + '\\n');
    if (readFileSync(${JSON.stringify(runs)}, 'utf8').split('\\n').length > 2)
      process.send('a page is damaged', () => process.exit(0));
    else setInterval(() => undefined, 1000);`,
  );
  const lines: string[] = [];
  const logger = pino({ base: null }, { write: (line: string) => lines.push(line) });
  const faults: string[] = [];
  const limits = { program: pathToFileURL(program), walBytes: BOUND, retryMilliseconds: 100 };
  stop = startIntegrityCheck(file, logger, (fault) => faults.push(fault), limits);
  await until(() => readFileSync(runs, 'utf8') !== '', 'the first run');
  const pid = Number(/\d+/.exec(readFileSync(runs, 'utf8'))?.[0]);
  await until(() => {
    append([Array.from({ length: 20 }, () => draft())]);
    return faults.length > 0;
  }, 'the second run to find the damage');
  expect(faults).toEqual(['a page is damaged']);
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  expect(lines.filter((line) => line.includes('the check of the database is put off'))).toHaveLength(1);
  // It is reset again: what is written from now on does not make it longer.
  log.pragma('wal_checkpoint(PASSIVE)');
  const size = statSync(`${file}-wal`).size;
  append([[draft()]]);
  expect(statSync(`${file}-wal`).size).toBe(size);
  log.close();
});

test('a sound database is checked again after a time, so that later damage is found', async () => {
  const folder = newFolder();
  const file = join(folder, 'tidings.sqlite');
  openForWriting(file).close();
  // In the place of the check: it finds the first two times nothing.
  const runs = join(folder, 'runs');
  const program = join(folder, 'check.mjs');
  writeFileSync(
    program,
    `import { appendFileSync, readFileSync } from 'node:fs';
    appendFileSync(${JSON.stringify(runs)}, '.');
    const isDamaged = readFileSync(${JSON.stringify(runs)}, 'utf8').length > 2;
    process.send(isDamaged ? 'a page is damaged' : 'ok', () => process.exit(0));`,
  );
  const faults: string[] = [];
  const limits = {
    program: pathToFileURL(program),
    walBytes: BOUND,
    retryMilliseconds: 100,
    againMilliseconds: 10,
  };
  stop = startIntegrityCheck(file, pino({ enabled: false }), (fault) => faults.push(fault), limits);
  await until(() => faults.length > 0, 'the third run to find the damage');
  expect(faults).toEqual(['a page is damaged']);
  expect(readFileSync(runs, 'utf8')).toBe('...');
});
