import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { afterEach, describe, expect, test } from '@jest/globals';
import { get, publish, request, send, type WireMessage } from '../support/api.ts';
import { withDatabase } from '../support/file.ts';
import { headCursor, pull } from '../support/pull.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

/** More than one page of a replay before the damage, and after it. */
const MESSAGES = 3000;

/** A database of which one page, in the middle of the table of messages, is not what was written there. */
async function damagedDatabase(): Promise<{ database: string; stored: WireMessage[] }> {
  const server = await Server.start();
  const stored: WireMessage[] = [];
  while (stored.length < MESSAGES) {
    const batch = Array.from({ length: 1000 }, (_, index) => ({
      recipient: index % 2 === 0 ? 'bob' : 'ann',
      content: `${index} ${'x'.repeat(500)}`,
    }));
    stored.push(...((await publish(server.url, batch)).body as WireMessage[]));
  }
  expect((await server.stop()).code).toBe(0);
  const [size, page] = withDatabase(server.database, (database) => {
    const leaves = database
      .prepare("SELECT pageno FROM dbstat WHERE name = 'messages' AND pagetype = 'leaf' ORDER BY path")
      .pluck()
      .all() as number[];
    return [database.pragma('page_size', { simple: true }) as number, leaves[leaves.length >> 1] ?? 0];
  });
  const descriptor = openSync(server.database, 'r+');
  const bytes = Buffer.alloc(size);
  readSync(descriptor, bytes, 0, size, (page - 1) * size);
  expect(bytes.toString('latin1')).toContain('xxxx');
  writeSync(descriptor, Buffer.alloc(size, 0xa5), 0, size, (page - 1) * size);
  closeSync(descriptor);
  return { database: server.database, stored };
}

async function startDamaged(): Promise<{ server: Server; stored: WireMessage[] }> {
  const { database, stored } = await damagedDatabase();
  const server = await Server.start({ database });
  await waitForCheck(server);
  return { server, stored };
}

/** Waits until the check has found the damage. By the status alone it might be a slow disk that is not ready. */
async function waitForCheck({ url }: Server): Promise<void> {
  const isDamaged = async (): Promise<boolean> =>
    JSON.stringify((await request(`${url}/readyz`)).body).includes('damaged');
  await until(isDamaged, 'the check of the database');
}

describe('a database that is damaged deep inside', () => {
  test('a service whose database is damaged is not ready and stores nothing, but serves all messages that can be read', async () => {
    const { server, stored } = await startDamaged();
    const ready = await request(`${server.url}/readyz`);
    expect(ready.body).toMatchObject({ status: 503 });
    expect(JSON.stringify(ready.body)).toContain('damaged');
    for (let attempt = 0; attempt < 3; attempt++) {
      const refused = await publish(server.url, { recipient: 'bob', content: 'hi' });
      expect(refused.status).toBe(503);
      expect(JSON.stringify(refused.body)).toContain('restore a backup');
      expect(refused.headers.has('retry-after')).toBe(true);
      expect(JSON.stringify(refused.body)).not.toMatch(/SQLITE|Tree \d|\.sqlite/);
    }
    await until(() => server.stderr.includes('the database is corrupt'), 'its line in the log');

    const [first, last] = [stored[0], stored.at(-1)];
    expect((await get(server.url, `/messages/${first?.id}`)).body).toEqual(first);
    expect((await get(server.url, `/messages/${last?.id}`)).body).toEqual(last);
    const newest = await pull(server.url, 'recipient=bob&before=latest&limit=20');
    expect(newest.messages).toEqual(stored.filter(({ recipient }) => recipient === 'bob').slice(-20));
    const device = await DeviceStream.open(server.url, 'recipient=ann&last=10');
    await device.waitFor('live');
    expect(device.messages).toEqual(stored.filter(({ recipient }) => recipient === 'ann').slice(-10));
    expect(await headCursor(server.url)).toMatch(/^3000-/);
    const ended = await server.stop();
    expect(ended).toMatchObject({ code: 0, signal: null });
  });

  test('only requests for damaged messages get an error; the process and other clients go on', async () => {
    const { server, stored } = await startDamaged();
    const bystander = await DeviceStream.open(server.url, 'recipient=bob');
    await bystander.waitFor('live');
    const statuses: number[] = [];
    for (let from = 0; from < stored.length; from += 100) {
      const answers = stored.slice(from, from + 100).map(({ id }) => get(server.url, `/messages/${id}`));
      statuses.push(...(await Promise.all(answers)).map(({ status }) => status));
    }
    const unreadable = statuses.filter((status) => status !== 200).length;
    expect(unreadable).toBeGreaterThan(0);
    expect(unreadable).toBeLessThan(20); // those of one page
    for (const status of statuses) expect([200, 503]).toContain(status);
    for (const query of ['recipient=*&after=1000&limit=1000', 'recipient=bob&before=latest&limit=1000']) {
      const answer = await get(server.url, `/messages?${query}`);
      expect(answer.status).toBe(503);
      expect(JSON.stringify(answer.body)).not.toMatch(/SQLITE|database disk image|\.sqlite/);
      expect(answer.headers.has('retry-after')).toBe(true);
    }
    // The operator finds the reason in the log.
    const why = 'the log cannot be read: database disk image is malformed';
    await until(() => server.stderr.includes(why), 'its line in the log');
    // A stream that comes to the damage ends; what it had got up to there is in order.
    const device = await DeviceStream.open(server.url, 'recipient=*', { lastEventId: '0' });
    await device.waitForEnd();
    expect(device.messages.length).toBeGreaterThan(1000);
    expect(device.messages).toEqual(stored.slice(0, device.messages.length));

    const typing = await publish(server.url, { recipient: 'bob', content: 'typing', ephemeral: true });
    expect(typing.status).toBe(202);
    await bystander.waitForMessages(1);
    expect(bystander.closed).toBe(false);
    expect((await request(`${server.url}/healthz`)).status).toBe(200);
    expect(await server.stop()).toMatchObject({ code: 0, signal: null });
  });

  test('damage that a reader finds before the check does not end the process either', async () => {
    const { database } = await damagedDatabase();
    const server = await Server.start({ database });
    const devices = await Promise.all(
      Array.from({ length: 5 }, () => DeviceStream.open(server.url, 'recipient=*', { lastEventId: '0' })),
    );
    await Promise.all(devices.map((device) => device.waitForEnd()));
    await waitForCheck(server);
    expect((await request(`${server.url}/healthz`)).status).toBe(200);
    await expect(send(server.url, 'bob', 'hi')).rejects.toThrow('not stored: 503');
  });
});
