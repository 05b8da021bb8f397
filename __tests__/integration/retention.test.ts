import { statSync } from 'node:fs';
import { afterEach, describe, expect, test } from '@jest/globals';
import { get, publish, send, type WireMessage } from '../support/api.ts';
import { readNumber, withDatabase } from '../support/file.ts';
import { headCursor, liveOf, pull, pullAll } from '../support/pull.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { testWithTool } from '../support/tool.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const HELD = 'SELECT count(*) FROM messages';
const TWO_DAYS = 2 * 86_400_000;

/** Returns what a device that comes back is told: the gap, by a stream and by a poll, and the messages. */
async function comeBack(
  server: Server,
  query: string,
  cursor: string,
): Promise<{ gap: unknown; messages: readonly WireMessage[] }> {
  const device = await DeviceStream.open(server.url, query, { lastEventId: cursor });
  await device.waitFor('live');
  device.cut();
  const pulled = await pull(server.url, `${query}&after=${cursor}&limit=1000`);
  const came = { gap: device.gap, messages: device.messages.slice(0, 1000) };
  expect({ gap: pulled.gap, messages: pulled.messages }).toEqual(came);
  return came;
}

/** Publishes so many to one recipient. */
async function sendMany(
  server: Server,
  recipient: string,
  count: number,
  fields: object = {},
): Promise<number[]> {
  const ids: number[] = [];
  while (ids.length < count) {
    const size = Math.min(1000, count - ids.length);
    const batch = Array.from({ length: size }, () => ({ recipient, content: 'text', ...fields }));
    const answer = await publish(server.url, batch);
    expect(answer.status).toBe(201);
    ids.push(...(answer.body as WireMessage[]).map(({ id }) => id));
  }
  return ids;
}

/** A disk that takes 30 ms for a commit. */
const SLOW_DISK = [
  ...['strace', '-D', '-f', '-o', '/dev/null'],
  ...['-e', 'trace=fsync,fdatasync', '-e', 'inject=fsync,fdatasync:delay_enter=30000'],
];

/** Stops the server, makes messages with an id up to `through` two days old, and starts it with RETENTION_DAYS=1. */
async function age(server: Server, through: number, wrapper: readonly string[] = []): Promise<Server> {
  expect((await server.stop()).code).toBe(0);
  withDatabase(server.database, (database) =>
    database.prepare('UPDATE messages SET createdAt = createdAt - ? WHERE id <= ?').run(TWO_DAYS, through),
  );
  return Server.start({ database: server.database, env: { RETENTION_DAYS: '1' }, wrapper });
}

describe('a message with a ttl', () => {
  test('a message with a ttl is not shown once it has expired, is purged, and is never a gap', async () => {
    const server = await Server.start();
    const device = await DeviceStream.open(server.url, 'recipient=bob');
    const start = (await liveOf(device)).cursor;
    // Long enough to be delivered where the disk is slow.
    const ttl = 5;
    const passing = await send(server.url, 'bob', 'passing', { ttl, idempotencyKey: 'k' });
    const lasting = await send(server.url, 'bob', 'lasting', { ttl: 3600 });
    await sendMany(server, 'bob', 1500, { ttl });
    await device.waitForMessages(1502);
    expect(device.messages.slice(0, 2)).toEqual([passing, lasting]);
    await until(
      async () => (await pull(server.url, 'recipient=bob&before=latest&limit=2')).messages.length < 2,
    );
    expect((await get(server.url, `/messages/${passing.id}`)).status).toBe(404);
    expect(await comeBack(server, 'recipient=bob', start)).toEqual({ gap: false, messages: [lasting] });
    await until(() => readNumber(server.database, HELD) === 1, 'only one message in the file');
    expect(await comeBack(server, 'recipient=bob', start)).toEqual({ gap: false, messages: [lasting] });
    expect(await comeBack(server, 'recipient=bob', '0')).toEqual({ gap: false, messages: [lasting] });
    // The key is free again.
    const again = await send(server.url, 'bob', 'another', { idempotencyKey: 'k' });
    expect(again.id).toBe(1503);
  });
});

describe('retention by count', () => {
  test('retention by count keeps the newest messages of each recipient, and only devices that missed older ones have a gap', async () => {
    const server = await Server.start({ env: { RETENTION_MESSAGES: '500' } });
    const quiet = await sendMany(server, 'quiet', 400);
    const early = `${quiet.at(-1)}`;
    const ids = await sendMany(server, 'busy', 7000, { sender: 'robot' });
    const held = (): number => readNumber(server.database, `${HELD} WHERE recipient = 'busy'`);
    await until(() => held() === 500, 'the purge');
    ids.push(...(await sendMany(server, 'busy', 3, { sender: 'robot' })));
    await until(() => held() === 500, 'the purge of the next ones');
    const busy = await pullAll(server.url, 'busy');
    expect(busy.map(({ id }) => id)).toEqual(ids.slice(-500));
    expect((await pullAll(server.url, 'quiet')).map(({ id }) => id)).toEqual(quiet);

    // Nothing of this inbox went: no gap, from whenever.
    expect((await comeBack(server, 'recipient=quiet', '0')).gap).toBe(false);
    expect((await comeBack(server, 'recipient=quiet', '17')).messages).toHaveLength(383);
    // Of these something did: of the recipient, of the sender, of the whole log.
    for (const query of ['recipient=busy', 'recipient=robot', 'recipient=quiet&recipient=busy']) {
      expect((await comeBack(server, query, early)).gap).toBe('purged');
    }
    expect((await comeBack(server, 'recipient=*', early)).gap).toBe('purged');
    // The replay goes on after the cursor, with what is left.
    expect((await comeBack(server, 'recipient=busy', early)).messages).toEqual(busy);
    // A device that had all purged messages misses nothing.
    const kept = busy[0]?.id ?? 0;
    expect(await comeBack(server, 'recipient=busy', `${kept - 1}`)).toEqual({
      gap: false,
      messages: busy,
    });
    expect((await comeBack(server, 'recipient=busy', `${kept - 2}`)).gap).toBe('purged');
  });

  test('retention by count is applied at the start to a log that had no bound', async () => {
    const first = await Server.start();
    const ids = await sendMany(first, 'bob', 6000);
    await first.stop();
    const server = await Server.start({ database: first.database, env: { RETENTION_MESSAGES: '500' } });
    await until(() => readNumber(server.database, HELD) === 500, 'the purge');
    expect((await pullAll(server.url, 'bob')).map(({ id }) => id)).toEqual(ids.slice(-500));
  });
});

describe('retention by age', () => {
  test('retention by age purges older messages, and only devices that missed some have a gap', async () => {
    const first = await Server.start();
    await sendMany(first, 'bob', 50);
    await sendMany(first, 'ann', 50);
    const before = await headCursor(first.url);
    const young = await sendMany(first, 'bob', 10);
    const server = await age(first, 100);
    await until(() => readNumber(server.database, HELD) === 10, 'the purge');
    const bob = await pullAll(server.url, 'bob');
    expect(bob.map(({ id }) => id)).toEqual(young);
    expect(await comeBack(server, 'recipient=bob', before)).toEqual({ gap: false, messages: bob });
    expect(await comeBack(server, 'recipient=bob', '50')).toEqual({ gap: false, messages: bob });
    expect(await comeBack(server, 'recipient=bob', '49')).toEqual({ gap: 'purged', messages: bob });
    expect(await comeBack(server, 'recipient=ann', '99')).toEqual({ gap: 'purged', messages: [] });
    expect(await comeBack(server, 'recipient=ann', before)).toEqual({ gap: false, messages: [] });
    expect(await comeBack(server, 'recipient=cleo', '0')).toEqual({ gap: false, messages: [] });
    expect(await comeBack(server, 'recipient=bob&recipient=ann', '60')).toMatchObject({ gap: 'purged' });
  });

  test('retention by age keeps the newest read marker of each pair, which still sets the number of unread messages', async () => {
    const first = await Server.start();
    const ids = await sendMany(first, 'bob', 5, { sender: 'ann' });
    const mark = (reader: string, peer: string, messageId: number | undefined): Promise<WireMessage> =>
      send(first.url, peer, { messageId }, { sender: reader, type: 'read' });
    await mark('bob', 'ann', ids[0]);
    const newest = await mark('bob', 'ann', ids[3]);
    const other = await mark('ann', 'bob', ids[1]);
    const young = await sendMany(first, 'bob', 3, { sender: 'ann' });
    const server = await age(first, other.id);
    await until(() => readNumber(server.database, HELD) === 5, 'the purge');
    const left = await pullAll(server.url, 'bob');
    expect(left.map(({ id }) => id)).toEqual([newest.id, other.id, ...young]);
    const conversations = await get(server.url, '/conversations?recipient=bob');
    expect(conversations.body).toMatchObject({
      conversations: [{ peer: 'ann', unread: 3, readThrough: ids[3], peerReadThrough: ids[1] }],
    });
    const behind = { sender: 'bob', recipient: 'ann', type: 'read', content: { messageId: ids[2] } };
    const standing = await publish(server.url, behind);
    expect(standing).toMatchObject({ status: 200, body: { id: newest.id } });
  });

  test('a purge of all messages frees the disk, and no id is given again', async () => {
    const first = await Server.start();
    const ids = await sendMany(first, 'bob', 3000, { content: 'x'.repeat(4000) });
    const last = ids.at(-1) ?? 0;
    const cursor = await headCursor(first.url);
    // Before its next start: then the purge may be done before this looks.
    const large = statSync(first.database).size + statSync(`${first.database}-wal`).size;
    expect(large).toBeGreaterThan(12_000_000);
    const emptied = await age(first, last);
    await until(() => readNumber(emptied.database, HELD) === 0, 'the purge');
    // While nothing is written, too.
    await until(() => statSync(emptied.database).size < large / 4, 'the file to be cut');
    expect(await comeBack(emptied, 'recipient=bob', '0')).toEqual({ gap: 'purged', messages: [] });
    expect(await comeBack(emptied, 'recipient=bob', cursor)).toEqual({ gap: false, messages: [] });
    expect((await emptied.stop()).code).toBe(0);
    const server = await Server.start({ database: emptied.database, env: { RETENTION_DAYS: '1' } });
    expect(await headCursor(server.url)).toBe(cursor);
    const next = await send(server.url, 'bob', 'next');
    expect(next.id).toBe(last + 1);
    expect(await comeBack(server, 'recipient=bob', cursor)).toEqual({ gap: false, messages: [next] });
  });

  testWithTool('strace', 'strace')(
    'a purge of a large log goes in small steps, and publishes are stored and delivered meanwhile',
    async () => {
      const first = await Server.start();
      const old = await sendMany(first, 'bob', 60_000);
      // So that the purge takes seconds, of which some may pass before the first publish.
      const server = await age(first, old.at(-1) ?? 0, SLOW_DISK);
      const device = await DeviceStream.open(server.url, 'recipient=bob');
      await device.waitFor('live');
      const left = (): number => readNumber(server.database, `${HELD} WHERE id <= 60000`);
      let steps = 0;
      const published: WireMessage[] = [];
      for (let before = left(); before > 0;) {
        published.push(await send(server.url, 'bob', 'meanwhile'));
        const after = left();
        if (after < before && after > 0) steps++;
        before = after;
      }
      // Published between two steps of the purge, again and again.
      expect(steps).toBeGreaterThan(5);
      expect(await device.waitForMessages(published.length)).toEqual(published);
      expect(await pullAll(server.url, 'bob')).toEqual(published);
    },
  );
});
