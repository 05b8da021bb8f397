import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, expect, test } from '@jest/globals';
import { Publisher, storedBy } from '../support/publisher.ts';
import { pullAll } from '../support/pull.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

/** Node runs it before the service, in each of its threads: the one that writes ends once a file is there. */
function preload(file: string, end: string): string {
  const program = `
    import { existsSync } from 'node:fs';
    import { isMainThread } from 'node:worker_threads';
    if (!isMainThread) setInterval(() => { if (existsSync(${JSON.stringify(file)})) { ${end}; } }, 1).unref();`;
  return `--max-old-space-size=100 --import=data:text/javascript,${encodeURIComponent(program)}`;
}

test.each([
  ['ends', 'process.exit(3)', 'the writer thread ended by itself, with code 3'],
  ['throws', 'throw new Error("a fault of the thread")', 'a fault of the thread'],
  ['has no memory left', 'for (const all = []; ; ) all.push(Array(1e6).fill(all.length))', 'memory limit'],
])(
  'the process ends with code 1 and a reason if its writer thread %s, and every acknowledged message is stored',
  async (_what, end, reason) => {
    const signal = join(newFolder(), 'end');
    const server = await Server.start({ env: { NODE_OPTIONS: preload(signal, end) } });
    const device = await DeviceStream.open(server.url, 'recipient=bob');
    await device.waitFor('live');
    const publishers = Publisher.several(16, server.url, 'bob');
    await until(() => storedBy(publishers).length > 200, 'messages before the end');
    writeFileSync(signal, '');
    const ended = await server.ended;
    await Promise.all(publishers.map(({ over }) => over));
    await device.waitForEnd();

    expect(ended).toMatchObject({ code: 1, signal: null });
    const fatal = ended.stderr.split('\n').filter((line) => line.startsWith('{"level":60'));
    expect(fatal).toHaveLength(1);
    expect(fatal[0]).toContain('the service cannot go on with its log: the process ends');
    expect(fatal[0]).toContain(reason);
    const stored = storedBy(publishers);
    // Each had one under way, of which it was told nothing.
    expect(publishers.map(({ unanswered }) => unanswered.length)).toEqual(publishers.map(() => 1));
    expect(publishers.flatMap(({ refusals }) => refusals)).toEqual([]);

    const again = await Server.start({ database: server.database });
    const log = await pullAll(again.url, 'bob');
    expect(log).toEqual(expect.arrayContaining(stored));
    // Publishes under way may be stored or not. A message that was shown to anybody is stored.
    const open = publishers.flatMap(({ unanswered }) => unanswered);
    const contents = [...stored.map(({ content }) => content), ...open];
    expect(contents).toEqual(expect.arrayContaining(log.map(({ content }) => content)));
    expect(device.messages).toEqual(log.slice(0, device.messages.length));
    expect(log.map(({ id }) => id)).toEqual(log.map((_, index) => index + 1));
  },
);

/** Node runs a program before the service, in the writer thread alone. */
function inWriterThread(program: string): readonly string[] {
  const module = `
    import { linkSync } from 'node:fs';
    import { createRequire } from 'node:module';
    import { isMainThread } from 'node:worker_threads';
    const Sqlite = createRequire(${JSON.stringify(pathToFileURL(import.meta.filename).href)})('better-sqlite3');
    if (!isMainThread) { ${program} }`;
  return ['--import', `data:text/javascript,${encodeURIComponent(module)}`];
}

test('a start prints the fault that the writer thread meets when it opens the database, once', async () => {
  const database = join(newFolder(), 'tidings.sqlite');
  const nodeArgs = inWriterThread(
    `linkSync(${JSON.stringify(database)}, ${JSON.stringify(`${database}-2`)})`,
  );
  const ended = await Server.run({ database, nodeArgs });
  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(ended.stderr).toBe(
    `tidings: ${database} has 2 names (hard links). A process that opens it by another one damages it: remove the others, or ` +
      'set DATABASE to a copy.\n',
  );
});

test('an error of SQLite in the writer thread keeps its message and code in the log', async () => {
  const nodeArgs = inWriterThread(
    "Sqlite.prototype.close = () => new Sqlite(':memory:').exec('SELECT x FROM missing')",
  );
  const server = await Server.start({ nodeArgs });
  const ended = await server.stop();
  const fatal = ended.stderr.split('\n').filter((line) => line.startsWith('{"level":60'));
  expect(fatal).toHaveLength(1);
  expect(JSON.parse(fatal[0] ?? '')).toMatchObject({
    err: { message: 'no such table: missing', code: 'SQLITE_ERROR' },
  });
});
