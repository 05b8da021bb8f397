import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect } from '@jest/globals';
import Sqlite from 'better-sqlite3';
import { get, publish, send, type WireMessage } from '../support/api.ts';
import { readNumber, withDatabase } from '../support/file.ts';
import { pull, pullAll } from '../support/pull.ts';
import { cleanUp, Server } from '../support/server.ts';
import { diskTest, SmallDisk } from '../support/small-disk.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const isReady = async ({ url }: Server): Promise<boolean> => (await get(url, '/readyz')).status === 200;
const statusOf = async ({ url }: Server, length = 1): Promise<number> =>
  (await publish(url, { recipient: 'bob', content: 'x'.repeat(length) })).status;

/** Publishes until the log is full. @returns what was acknowledged */
async function fillLog({ url }: Server, fields: Record<string, unknown> = {}): Promise<WireMessage[]> {
  const stored: WireMessage[] = [];
  const batch = Array.from({ length: 50 }, () => ({
    recipient: 'bob',
    content: 'x'.repeat(8000),
    ...fields,
  }));
  for (;;) {
    const answer = await publish(url, batch);
    if (answer.status !== 201) {
      expect(answer.status).toBe(503);
      return stored;
    }
    stored.push(...(answer.body as WireMessage[]));
  }
}

/** That it is full, and serves what can be served. */
async function expectFull(server: Server, stored: readonly WireMessage[]): Promise<void> {
  expect((await get(server.url, '/readyz')).body).toMatchObject({
    status: 503,
    detail: 'Not ready: the disk of the log is full.',
  });
  for (const length of [1, 30_000]) expect(await statusOf(server, length)).toBe(503);
  expect((await get(server.url, '/healthz')).status).toBe(200);
  expect((await pull(server.url, 'recipient=bob&before=latest&limit=5')).messages).toEqual(stored.slice(-5));
  const device = await DeviceStream.open(server.url, 'recipient=bob&last=10');
  await device.waitFor('live');
  expect(device.messages).toEqual(stored.slice(-10));
  device.cut();
}

describe('a log that fills its disk', () => {
  diskTest('a log that fills its disk makes room by itself when messages expire', async () => {
    const server = await Server.start({ database: new SmallDisk(24).database });
    const device = await DeviceStream.open(server.url, 'recipient=bob');
    await device.waitFor('live');
    const kept = await send(server.url, 'bob', 'kept');
    const stored = await fillLog(server, { ttl: 10 });
    await expectFull(server, stored);
    expect(await pullAll(server.url, 'bob')).toEqual([kept, ...stored]);

    await until(() => isReady(server), 'room after the messages have expired');
    const last = await send(server.url, 'bob', 'x'.repeat(30_000));
    await device.waitForMessages(stored.length + 2);
    expect(device.messages).toEqual([kept, ...stored, last]);
    await until(async () => (await pullAll(server.url, 'bob')).length === 2, 'what is kept');
    for (const said of ['the log cannot be written', 'the log can be written again']) {
      await until(() => server.stderr.includes(said), said);
      expect(server.stderr.split(said)).toHaveLength(2);
    }
    expect(server.stderr).not.toContain('retention and conversations wait');
  });

  diskTest.each(['stop', 'kill'] as const)(
    'a log that fills its disk serves its messages after a restart (%s), and goes on when retention makes room',
    async (end) => {
      const { database } = new SmallDisk(24);
      const first = await Server.start({ database });
      const stored = await fillLog(first);
      await expectFull(first, stored);
      await first[end]();
      const second = await Server.start({ database });
      await expectFull(second, stored);
      expect(await pullAll(second.url, 'bob')).toEqual(stored);
      await second[end]();

      const third = await Server.start({ database, env: { RETENTION_MESSAGES: '200' } });
      await until(() => isReady(third), 'room after a purge');
      const last = await send(third.url, 'bob', 'x'.repeat(30_000));
      expect((await pullAll(third.url, 'bob')).slice(-150)).toEqual([...stored.slice(-149), last]);
      await third.stop();
      const check = withDatabase(database, (file) => file.pragma('quick_check'));
      expect(check).toEqual([{ quick_check: 'ok' }]);
    },
  );
});

describe('a disk that others fill', () => {
  diskTest('readiness and publishes of any size change together, and are each logged once', async () => {
    const disk = new SmallDisk(32);
    const server = await Server.start({ database: disk.database });
    const stored = [await send(server.url, 'bob', 'first')];
    await until(() => statSync(`${disk.database}-reserve`).size > 0, 'the reserve');
    disk.fill();
    await until(async () => !(await isReady(server)), 'not ready');
    // Longer than any of its timers, with tries of both in between.
    for (let round = 0; round < 15; round++) {
      await expectFull(server, stored);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    disk.makeRoom();
    await until(() => isReady(server), 'ready');
    stored.push(await send(server.url, 'bob', 'x'.repeat(30_000)), await send(server.url, 'bob', 'last'));
    expect(await isReady(server)).toBe(true);
    for (const said of ['the log cannot be written', 'the log can be written again']) {
      await until(() => server.stderr.includes(said), said);
      expect(server.stderr.split(said)).toHaveLength(2);
    }
    expect(await pullAll(server.url, 'bob')).toEqual(stored);
  });

  diskTest(
    'a purge while the disk is full loses no kept message, and goes on when there is room',
    async () => {
      const disk = new SmallDisk(48);
      const first = await Server.start({ database: disk.database });
      const batch = Array.from({ length: 500 }, () => ({ recipient: 'bob', content: 'x'.repeat(2000) }));
      const stored: WireMessage[] = [];
      while (stored.length < 6000) stored.push(...((await publish(first.url, batch)).body as WireMessage[]));
      await first.stop();

      const server = await Server.start({ database: disk.database, env: { RETENTION_MESSAGES: '1000' } });
      disk.fill();
      await until(async () => !(await isReady(server)), 'not ready');
      expect((await pullAll(server.url, 'bob')).slice(-1000)).toEqual(stored.slice(-1000));
      disk.makeRoom();
      await until(() => isReady(server), 'ready');
      const last = await send(server.url, 'bob', 'last');
      const count = 'SELECT count(*) FROM messages';
      await until(() => readNumber(disk.database, count) <= 2001, 'the end of the purge');
      expect((await pullAll(server.url, 'bob')).slice(-1000)).toEqual([...stored.slice(-999), last]);
    },
  );

  diskTest('a start on a full disk serves the log, with the room of the reserve', async () => {
    const disk = new SmallDisk(24);
    const server = await Server.start({ database: disk.database });
    const stored = [await send(server.url, 'bob', 'hi')];
    await until(() => statSync(`${disk.database}-reserve`).size === 3 * 1024 * 1024, 'the reserve');
    await server.kill();
    disk.fill();
    const again = await Server.start({ database: disk.database });
    await expectFull(again, stored);
    await again.kill();
    disk.makeRoom();
    const healed = await Server.start({ database: disk.database });
    expect(await pullAll(healed.url, 'bob')).toEqual(stored);
    expect(await statusOf(healed)).toBe(201);
  });

  diskTest('a migration on a full disk uses the room of the reserve, or changes nothing', async () => {
    const disk = new SmallDisk(8);
    const migration = join(import.meta.dirname, '../../db/migrations/0001-messages.sql');
    const old = new Sqlite(disk.database);
    old.exec(readFileSync(migration, 'utf8'));
    old.pragma('application_id = 0x54494447');
    old.pragma('user_version = 1');
    old.close();
    const other = await Server.start();
    await other.stop();
    copyFileSync(`${other.database}-vapid.json`, `${disk.database}-vapid.json`);
    const before = readFileSync(disk.database);
    disk.fill();
    const env = { UPGRADE_COPY: 'none' };
    const refused = await Server.run({ database: disk.database, env });
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/^tidings: \S+ cannot be opened: its disk is full .*Make room there.*\n$/);
    expect(readFileSync(disk.database)).toEqual(before);

    disk.makeRoom();
    writeFileSync(`${disk.database}-reserve`, Buffer.alloc(1024 * 1024));
    disk.fill();
    const server = await Server.start({ database: disk.database, env });
    expect((await get(server.url, '/push-subscriptions?recipient=bob')).status).toBe(200);
    expect(await statusOf(server)).toBe(503);
  });

  diskTest('a disk that has no room for new files, but for bytes, stops nothing', async () => {
    const disk = new SmallDisk(32, 20);
    const server = await Server.start({ database: disk.database });
    await until(() => statSync(`${disk.database}-reserve`).size > 0, 'the reserve');
    const fill = (): void => {
      for (let count = 0; ; count++) writeFileSync(join(disk.folder, String(count)), '');
    };
    expect(fill).toThrow('ENOSPC');
    expect(await statusOf(server, 30_000)).toBe(201);
    expect(await isReady(server)).toBe(true);
  });
});
