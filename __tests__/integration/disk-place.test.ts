import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { get, publish, send } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { Publisher, refusalsOf, storedBy } from '../support/publisher.ts';
import { pullAll } from '../support/pull.ts';
import { cleanUp, newFolder, Server, undoAtEnd } from '../support/server.ts';
import { diskTest } from '../support/small-disk.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

/** How often a line stands in the log of a server. */
function countOf(server: Server, said: string): number {
  return server.stderr.split(said).length - 1;
}

const STOPS = 'the log cannot be written';
const GOES_ON = 'the log can be written again';

describe('a log whose files are taken away while it runs', () => {
  const aside = (file: string): string => `${file}-aside`;
  test.each<[string, (file: string) => void, ((file: string) => void) | undefined]>([
    [
      'its folder is moved away and back',
      (file) => renameSync(dirname(file), aside(dirname(file))),
      (file) => renameSync(aside(dirname(file)), dirname(file)),
    ],
    [
      'its write-ahead log is moved away and back',
      (file) => renameSync(`${file}-wal`, aside(file)),
      (file) => renameSync(aside(file), `${file}-wal`),
    ],
    [
      'its file is replaced by a copy, and put back',
      (file) => {
        for (const part of ['', '-wal']) renameSync(file + part, aside(file) + part);
        for (const part of ['', '-wal']) copyFileSync(aside(file) + part, file + part);
      },
      (file) => {
        for (const part of ['', '-wal']) renameSync(aside(file) + part, file + part);
      },
    ],
    ['its folder is removed', (file) => rmSync(dirname(file), { recursive: true }), undefined],
    ['its lock is removed', (file) => rmSync(`${file}-lock`), undefined],
  ])(
    'a log refuses publishes, is not ready, serves what it has, and loses nothing if %s',
    async (what, take, giveBack) => {
      const server = await Server.start({ database: join(newFolder(), 'data', 'tidings.sqlite') });
      const device = await DeviceStream.open(server.url, 'recipient=bob');
      await device.waitFor('live');
      const publishers = Publisher.several(4, server.url, 'bob');
      await until(() => storedBy(publishers).length > 20, 'messages before');

      take(server.database);
      // The very next one is refused: it would be lost. Without its lock the log itself is whole, and that is found out
      // within a second.
      const next = await publish(server.url, { recipient: 'carol', content: 'next' });
      if (!what.includes('lock')) expectProblem(next, 503, []);
      await until(() => refusalsOf(publishers).length > 20, 'refusals');
      const held = storedBy(publishers);
      expectProblem(await get(server.url, '/readyz'), 503, []);
      expect(await (await fetch(`${server.url}/metrics`)).text()).toContain('\ntidings_log_ready 0\n');
      expect((await get(server.url, '/healthz')).status).toBe(200);
      expect((await pullAll(server.url, 'bob')).slice(0, held.length)).toEqual(held);
      expect(JSON.stringify(refusalsOf(publishers).at(-1)?.body)).toContain('moved, removed or replaced');
      expect(countOf(server, STOPS)).toBe(1);

      if (giveBack !== undefined) {
        giveBack(server.database);
        await until(() => storedBy(publishers).length > held.length + 20, 'messages after');
        await until(async () => (await get(server.url, '/readyz')).status === 200, 'ready');
        expect([countOf(server, STOPS), countOf(server, GOES_ON)]).toEqual([1, 1]);
      }
      await Promise.all(publishers.map((publisher) => publisher.end()));
      const stored = storedBy(publishers);
      await device.waitForMessages(stored.length);
      // Messages that were flushed as the file went were not acknowledged, and are shown all the same.
      const seen = await pullAll(server.url, 'bob');
      expect(device.messages).toEqual(seen);
      expect(seen).toEqual(expect.arrayContaining(stored));
      // Nor was it said of one of these that nothing was stored.
      const open = refusalsOf(publishers).filter(({ body }) => (body as { stored: unknown }).stored !== 'no');
      expect(seen.length - stored.length).toBeLessThanOrEqual(open.length);
      expect(device.closed).toBe(false);
      if (giveBack === undefined) return;
      await server.kill();
      const again = await Server.start({ database: server.database });
      expect(await pullAll(again.url, 'bob')).toEqual(seen);
    },
  );
});

describe('the database that a process holds', () => {
  const held = /^tidings: \S+ is held by another Tidings process\. .*\n$/;

  test.each<[string, (folder: string) => readonly [string, string]]>([
    [
      'a link to a file that does not exist yet',
      (folder) => {
        symlinkSync(join(folder, 'real.sqlite'), join(folder, 'link.sqlite'));
        return [join(folder, 'link.sqlite'), join(folder, 'real.sqlite')];
      },
    ],
    [
      'a chain of links, in a linked folder that does not exist yet',
      (folder) => {
        symlinkSync('real', join(folder, 'linked'));
        symlinkSync('linked/two.sqlite', join(folder, 'one.sqlite'));
        mkdirSync(join(folder, 'real'));
        symlinkSync('three.sqlite', join(folder, 'real', 'two.sqlite'));
        return [join(folder, 'one.sqlite'), join(folder, 'real', 'three.sqlite')];
      },
    ],
    [
      'a link into a folder that does not exist yet',
      (folder) => {
        symlinkSync('new/real.sqlite', join(folder, 'link.sqlite'));
        return [join(folder, 'link.sqlite'), join(folder, 'new', 'real.sqlite')];
      },
    ],
    [
      'a path with ..',
      (folder) => [`${folder}/../${folder.split('/').at(-1)}/a.sqlite`, `${folder}/a.sqlite`],
    ],
  ])('a database has one process, however its file is named: %s', async (_, name) => {
    const [given, real] = name(newFolder());
    const starts = await Promise.allSettled([
      Server.start({ database: given }),
      Server.start({ database: real }),
    ]);
    const running = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
    expect(running).toHaveLength(1);
    const [refused] = starts.flatMap((start) => (start.status === 'rejected' ? [String(start.reason)] : []));
    expect(refused).toContain('is held by another Tidings process');
    const [server] = running as [Server];
    const stored = await send(server.url, 'bob', 'hi');
    expect((await Server.run({ database: given })).stderr).toMatch(held);
    await server.stop();
    const names = readdirSync(dirname(real)).filter((each) => each.includes('vapid'));
    expect(names).toEqual([`${real.split('/').at(-1)}-vapid.json`]);
    const again = await Server.start({ database: given });
    expect(await pullAll(again.url, 'bob')).toEqual([stored]);
  });

  test('of two starts at the same moment one runs, and the other says why it does not', async () => {
    for (let round = 0; round < 2; round++) {
      const database = join(newFolder(), 'tidings.sqlite');
      const starts = await Promise.allSettled([Server.start({ database }), Server.start({ database })]);
      expect(starts.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    }
  });

  test('a file with a second name (a hard link) is refused, and left as it is', async () => {
    const server = await Server.start();
    await server.stop();
    linkSync(server.database, `${server.database}-other`);
    const { code, stderr } = await Server.run({ database: server.database });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^tidings: \S+ has 2 names \(hard links\)\. .*\n$/);
    rmSync(`${server.database}-other`);
    await Server.start({ database: server.database });
  });

  diskTest(
    'a file that is mounted by itself is refused, since its write-ahead log lies elsewhere',
    async () => {
      const server = await Server.start();
      await server.stop();
      const mounted = join(newFolder(), 'mounted file.sqlite');
      writeFileSync(mounted, '');
      execFileSync('mount', ['--bind', server.database, mounted]);
      undoAtEnd(() => execFileSync('umount', [mounted]));
      const { code, stderr } = await Server.run({ database: mounted });
      expect(code).toBe(1);
      expect(stderr).toMatch(/ is mounted by itself, .* Mount its folder\.\n$/);
    },
  );
});

describe('the files of a log', () => {
  test('the files of a log are for its user alone, whatever the umask', async () => {
    const folder = join(newFolder(), 'new', 'data');
    const database = join(folder, 'tidings.sqlite');
    for (const umask of ['000', '277']) {
      const server = await Server.start({
        database,
        wrapper: ['sh', '-c', `umask ${umask}; exec "$@"`, '-'],
      });
      await send(server.url, 'bob', 'hi');
      await until(() => existsSync(`${database}-reserve`), 'the reserve');
      const modes = Object.fromEntries(
        readdirSync(folder).map((name) => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]),
      );
      const parts = ['', '-wal', '-shm', '-lock', '-reserve', '-vapid.json'];
      expect(modes).toMatchObject(Object.fromEntries(parts.map((part) => [`tidings.sqlite${part}`, '600'])));
      for (const each of [folder, dirname(folder)]) expect(statSync(each).mode & 0o777).toBe(0o700);
      expect(server.stderr).not.toContain('can read the log');
      await server.stop();
      rmSync(dirname(folder), { recursive: true });
    }
  });

  test('files of a log that others may read stay as they are, and the start warns', async () => {
    const folder = newFolder();
    chmodSync(folder, 0o755);
    const server = await Server.start({ database: join(folder, 'tidings.sqlite') });
    await server.stop();
    chmodSync(server.database, 0o644);
    const again = await Server.start({ database: server.database });
    expect((await publish(again.url, { recipient: 'bob', content: 'hi' })).status).toBe(201);
    await until(() => again.stderr.includes('all users of this machine can read the log'), 'the warning');
    expect(again.stderr).toContain(again.database);
    expect(statSync(server.database).mode & 0o777).toBe(0o644);
  });
});
