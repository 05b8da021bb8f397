import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { publish, send, type WireMessage } from '../support/api.ts';
import { withDatabase } from '../support/file.ts';
import { oldDatabase } from '../support/old-database.ts';
import { headCursor, liveOf, pull, pullAll } from '../support/pull.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';

afterEach(cleanUp);

let server: Server;
let stored: readonly WireMessage[];
beforeEach(async () => {
  const database = join(newFolder(), 'tidings.sqlite');
  oldDatabase(database).close();
  server = await Server.start({ database });
  stored = await pullAll(server.url, 'bob');
});

/** Comes back with a cursor, by a stream and by a poll, which tell the same. */
async function comeBack(cursor: string): Promise<{ gap: unknown; ids: number[]; cursor: string }> {
  const device = await DeviceStream.open(server.url, 'recipient=bob', { lastEventId: cursor });
  const { cursor: end } = await liveOf(device);
  device.cut();
  const page = await pull(server.url, `recipient=bob&after=${cursor}&limit=1000`);
  expect({ messages: page.messages, gap: page.gap, cursor: page.cursor, more: page.more }).toEqual({
    messages: device.messages,
    gap: device.gap,
    cursor: end,
    more: false,
  });
  return { gap: device.gap, ids: device.ids, cursor: end };
}

test('messages of the version before are there, and devices with its cursors resume without a gap', async () => {
  expect(stored.map(({ id }) => id)).toEqual([1, 2, 4, 5]);
  const cursor = '5-gkl347';
  expect(await comeBack('0')).toEqual({ gap: false, ids: [1, 2, 4, 5], cursor });
  for (const [from, ids] of [
    ['1-xss10d', [2, 4, 5]],
    ['4-xss10d', [5]],
    ['5-gkl347', []],
  ] as const)
    expect(await comeBack(from)).toEqual({ gap: false, ids, cursor });
});

test('devices of the version before get new messages in order, and none twice', async () => {
  const device = await DeviceStream.open(server.url, 'recipient=bob', { lastEventId: '2-xss10d' });
  await device.waitFor('live');
  const sent = [await send(server.url, 'bob', 6), await send(server.url, 'bob', 7)];
  await device.waitForMessages(4);
  device.cut();
  expect(device.ids).toEqual([4, 5, 6, 7]);
  expect(device.messages.slice(2)).toEqual(sent);
  expect(device.gap).toBe(false);
  // A device of the old version and one of the new one resume alike, also after a restart.
  const cursor = device.cursor ?? '';
  expect(cursor).toMatch(/^7-/);
  expect(cursor).not.toBe('7-gkl347');
  expect(await comeBack('5-gkl347')).toEqual({ gap: false, ids: [6, 7], cursor });
  await server.stop();
  server = await Server.start({ database: server.database });
  expect(await comeBack('5-gkl347')).toEqual({ gap: false, ids: [6, 7], cursor });
  expect(await comeBack(cursor)).toEqual({ gap: false, ids: [], cursor });
});

test('a cursor ahead of an upgraded log, or of an unknown epoch, is told as restored', async () => {
  await send(server.url, 'bob', 6);
  const cursor = await headCursor(server.url);
  for (const ahead of ['6-gkl347', '900-gkl347', '900', '5-xss10d', '3-gkl347', '2-other'])
    expect(await comeBack(ahead)).toEqual({ gap: 'restored', ids: [1, 2, 4, 5, 6], cursor });
});

test('a key of the version before is still recognised, and a conflict with it too', async () => {
  const repeated = await publish(server.url, { recipient: 'bob', content: 1, idempotencyKey: 'k' });
  expect([repeated.status, repeated.body]).toEqual([200, stored[0]]);
  const other = await publish(server.url, { recipient: 'bob', content: 2, idempotencyKey: 'k' });
  expect(other.status).toBe(422);
  expect(await pullAll(server.url, 'bob')).toEqual(stored);
});

test('conversations, read markers and subscriptions of the version before are there', async () => {
  const mark = await publish(server.url, { recipient: 'bob', type: 'read', content: { messageId: 1 } });
  expect(mark.body).toEqual(stored[2]);
  const list = (await (await fetch(`${server.url}/conversations?recipient=bob`)).json()) as object;
  expect(list).toMatchObject({ conversations: [{ peer: 'anonymous', lastMessage: stored[1] }] });
  await server.stop();
  const rows = withDatabase(server.database, (database) =>
    database.prepare('SELECT id, recipient, endpoint, through FROM pushSubscriptions').raw().all(),
  );
  expect(rows).toEqual([[1, 'bob', 'https://push.example/x', expect.any(Number)]]);
});
