import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { publish, send } from '../support/api.ts';
import {
  describeWithClientTools,
  LONG_PATIENCE_MILLISECONDS,
  packProgram,
  runProgram,
} from '../support/client-package.ts';
import { freePorts } from '../support/free-ports.ts';
import { pullAll } from '../support/pull.ts';
import { cleanUp, newFolder, undoAtEnd } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

const ROOT = join(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

/** The program with its page, its docs of use and its migrations. */
const MAX_BYTES = 700_000;

describeWithClientTools('the npm package tidings', () => {
  const folder = newFolder();
  let files: readonly string[];
  let tarball: string;
  let bytes: number;
  beforeAll(async () => {
    const packed = await packProgram(folder);
    files = packed.files.map(({ path }) => path);
    tarball = packed.filename;
    bytes = packed.size;
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    // Nothing is there: as on a machine that has never heard of it. Only the compiled part of better-sqlite3 comes from the
    // project, for which npm has compiled it just so: to compile it again would take minutes.
    const clean = ['--cache', join(folder, 'cache'), '--no-audit', '--no-fund', '--ignore-scripts'];
    await runProgram('npm', ['install', `./${tarball}`, ...clean], folder, {}, LONG_PATIENCE_MILLISECONDS);
    const compiled = 'node_modules/better-sqlite3/build/Release/better_sqlite3.node';
    cpSync(join(ROOT, compiled), join(folder, compiled));
  }, 2 * LONG_PATIENCE_MILLISECONDS);
  afterAll(cleanUp);

  test('the npm package tidings has all that the program needs, and no tests, measurements or sources', () => {
    const others = files.filter(
      (path) =>
        !/^(dist\/.*\.js|db\/migrations\/.*\.sql|public\/.*|(README|CHANGELOG)\.md|LICENSE|package\.json)$/.test(
          path,
        ),
    );
    expect(others).toEqual([]);
    for (const path of [
      'dist/main.js',
      'db/migrations/0001-messages.sql',
      'public/index.html',
      'public/client.js',
    ])
      expect(files).toContain(path);
    process.stdout.write(`tidings: ${files.length} files, ${bytes} bytes packed\n`);
    expect(bytes).toBeLessThan(MAX_BYTES);
  });

  test('the npm package tidings runs by npx, installed or not', async () => {
    expect(await runProgram('npx', ['tidings', '--version'], folder)).toBe(`tidings ${version}\n`);
    const elsewhere = newFolder();
    const fromTarball = ['--yes', '--ignore-scripts', '--cache', join(folder, 'cache'), '--package'];
    const args = [...fromTarball, join(folder, tarball), 'tidings', '--version'];
    expect(await runProgram('npx', args, elsewhere)).toBe(`tidings ${version}\n`);
  });

  test('the installed program tidings serves, publishes, resumes and stops', async () => {
    const [port = 0] = await freePorts(1);
    const url = `http://127.0.0.1:${port}`;
    const start = async (): Promise<() => Promise<unknown>> => {
      const env = { PATH: process.env['PATH'], PORT: String(port) };
      const child = spawn('node_modules/.bin/tidings', [], {
        cwd: folder,
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      undoAtEnd(() => child.kill('SIGKILL'));
      let said = '';
      for (const output of [child.stdout, child.stderr])
        output.setEncoding('utf8').on('data', (text: string) => (said += text));
      await until(() => said.includes(`listens on ${url}`) || child.exitCode !== null, said);
      expect(said).toContain(`listens on ${url}`);
      return () => {
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        return ended;
      };
    };
    const stop = await start();
    const device = await DeviceStream.open(url, 'recipient=bob');
    await send(url, 'bob', 'first');
    const { id = '' } = await device.waitFor('message');
    expect(await stop()).toEqual([0, null]);
    const stopAgain = await start();
    await publish(url, [
      { recipient: 'bob', content: 'missed 1' },
      { recipient: 'bob', content: 'missed 2' },
    ]);
    const again = await DeviceStream.open(url, 'recipient=bob', { lastEventId: id });
    await again.waitFor('live');
    const missed = again.messages.map(({ content }) => content);
    expect(missed).toEqual(['missed 1', 'missed 2']);
    expect((await pullAll(url, 'bob')).map(({ content }) => content)).toEqual([
      'first',
      'missed 1',
      'missed 2',
    ]);
    expect(await (await fetch(url)).text()).toContain('<title>');
    expect(await stopAgain()).toEqual([0, null]);
  });
});
