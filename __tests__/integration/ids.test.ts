import { afterEach, expect, test } from '@jest/globals';
import { get, publish, request, send, type WireMessage } from '../support/api.ts';
import { withDatabase } from '../support/file.ts';
import { liveOf, pull } from '../support/pull.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';

afterEach(cleanUp);

const LAST = Number.MAX_SAFE_INTEGER;

/** A server whose log has given all ids but two. */
async function startNearTheEnd(): Promise<Server> {
  const first = await Server.start();
  await send(first.url, 'bob', 'the first');
  await first.stop();
  withDatabase(first.database, (database) =>
    database.prepare('UPDATE position SET head = :head, projected = :head').run({ head: LAST - 2 }),
  );
  return Server.start({ database: first.database });
}

test('the last ids that a client can hold are exact in answers, streams and lists', async () => {
  const server = await startNearTheEnd();
  const device = await DeviceStream.open(server.url, 'recipient=bob');
  await device.waitFor('live');
  const published = await publish(server.url, { recipient: 'bob', content: 'but one' });
  expect((published.body as WireMessage).id).toBe(LAST - 1);
  expect(published.headers.get('location')).toBe('/messages/9007199254740990');
  const penultimate = published.body as WireMessage;
  const last = await send(server.url, 'bob', 'the last');
  expect(last.id).toBe(LAST);

  expect(await device.waitForMessages(2)).toEqual([penultimate, last]);
  expect(device.raw).toContain('"id":9007199254740991,');
  expect(device.cursor).toMatch(/^9007199254740991-/);
  expect((await get(server.url, `/messages/${LAST}`)).body).toEqual(last);
  expect((await get(server.url, `/messages/${LAST + 1}`)).status).toBe(404);
  const cursor = device.cursor ?? '';
  const pulled = await pull(server.url, `recipient=bob&after=${cursor.replace('991-', '990-')}`);
  expect(pulled).toEqual({ messages: [last], cursor, gap: false, more: false });
  expect(await pull(server.url, 'recipient=bob&before=latest&limit=2')).toEqual({
    messages: [penultimate, last],
    cursor,
    before: penultimate.id,
    more: true,
  });
  const earlier = await pull(server.url, `recipient=bob&before=${LAST}&limit=1`);
  expect(earlier.messages).toEqual([penultimate]);
  const conversations = await get(server.url, '/conversations?recipient=bob');
  expect(conversations.body).toMatchObject({ conversations: [{ lastMessage: last, unread: 3 }], cursor });
  const read = { sender: 'bob', recipient: 'anonymous', type: 'read', content: { messageId: LAST } };
  expect((await publish(server.url, read)).status).toBe(503);

  const again = await DeviceStream.open(server.url, 'recipient=bob', { lastEventId: cursor });
  expect(await liveOf(again)).toEqual({ type: 'live', cursor, replayed: 0 });
  expect(again.gap).toBe(false);
  const newest = await DeviceStream.open(server.url, 'recipient=bob&last=1');
  await newest.waitFor('live');
  expect(newest.messages).toEqual([last]);
});

test('a publish behind the last id is refused and stores nothing, and everything else goes on', async () => {
  const server = await startNearTheEnd();
  const device = await DeviceStream.open(server.url, 'recipient=bob');
  await device.waitFor('live');
  const three = ['1', '2', '3'].map((content) => ({ recipient: 'bob', content }));
  expect((await publish(server.url, three)).status).toBe(503);
  const keyed = { recipient: 'bob', content: 'but one', idempotencyKey: 'k' };
  const first = await publish(server.url, keyed);
  expect((first.body as WireMessage).id).toBe(LAST - 1);
  expect((await publish(server.url, three.slice(1))).status).toBe(503);
  const last = await send(server.url, 'bob', 'the last');
  expect(last.id).toBe(LAST);

  for (let attempt = 0; attempt < 3; attempt++) {
    const refused = await publish(server.url, { recipient: 'bob', content: 'one more' });
    expect(refused.status).toBe(503);
    expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  }
  // Requests that need no id are served as before.
  expect(await publish(server.url, keyed)).toMatchObject({ status: 200, body: first.body as WireMessage });
  const typing = await publish(server.url, { recipient: 'bob', content: 'typing', ephemeral: true });
  expect(typing).toMatchObject({ status: 202, body: { devices: 1 } });
  expect((await device.waitForMessages(3)).map(({ content }) => content)).toEqual([
    'but one',
    'the last',
    'typing',
  ]);
  expect((await request(`${server.url}/healthz`)).status).toBe(200);
  const { cursor } = device;
  expect((await server.stop()).code).toBe(0);

  const after = await Server.start({ database: server.database });
  expect((await publish(after.url, { recipient: 'bob', content: 'one more' })).status).toBe(503);
  expect(await pull(after.url, `recipient=bob&after=${cursor}`)).toEqual({
    messages: [],
    cursor,
    gap: false,
    more: false,
  });
});
