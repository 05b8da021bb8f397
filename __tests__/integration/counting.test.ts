import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Answer, get, publish, request, send, type WireMessage } from '../support/api.ts';
import { readNumber } from '../support/file.ts';
import { expectProblem } from '../support/problems.ts';
import { pullAll } from '../support/pull.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { DeviceStream } from '../support/stream.ts';
import { bearer, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

let server: Server;
beforeAll(async () => {
  server = await Server.start();
});
afterAll(cleanUp);

const mark = (sender: string, recipient: string, messageId: number, origin = server.url) =>
  publish(origin, { sender, recipient, type: 'read', content: { messageId } });

async function listOf(address: string, origin = server.url): Promise<unknown[]> {
  const answer = await get(origin, `/conversations?recipient=${address}`);
  expect(answer.status).toBe(200);
  return (answer.body as { conversations: unknown[] }).conversations;
}

/** How one conversation stands, by its query; nothing else may be in the answer. */
async function stateOf(query: string, origin = server.url): Promise<unknown> {
  const answer = await get(origin, `/conversations?recipient=${query}`);
  expect(answer).toMatchObject({ status: 200, body: { conversations: [{}], more: false } });
  expect(Object.keys(answer.body as object)).toEqual(['conversations', 'cursor', 'more']);
  return (answer.body as { conversations: unknown[] }).conversations[0];
}

const isProjected = (database: string): Promise<void> =>
  until(() => readNumber(database, 'SELECT head - projected FROM position') === 0, 'the projection');

describe('a message of an own type', () => {
  test('a message of an own type is unread and makes a conversation, before it is projected and after', async () => {
    const order = await send(server.url, 'ann', { n: 1 }, { sender: 'shop', type: 'order' });
    const conversation = {
      peer: 'shop',
      lastMessage: order,
      unread: 1,
      readThrough: null,
      peerReadThrough: null,
    };
    expect(await listOf('ann')).toEqual([conversation]);
    await isProjected(server.database);
    expect(await listOf('ann')).toEqual([conversation]);
    expect(await listOf('shop')).toMatchObject([{ peer: 'ann', lastMessage: order, unread: 0 }]);
    expect((await mark('ann', 'shop', order.id)).status).toBe(201);
    expect(await listOf('ann')).toMatchObject([{ unread: 0, readThrough: order.id }]);
  });

  test('a read marker ahead of the log is set to a message of an own type, and not to one in the background', async () => {
    const order = await send(server.url, 'amy', 1, { sender: 'shop', type: 'order' });
    await send(server.url, 'amy', 1, { sender: 'shop', background: true });
    expect(await mark('amy', 'shop', 2 ** 53 - 1)).toMatchObject({
      body: { content: { messageId: order.id } },
    });
  });
});

describe('a message in the background', () => {
  test.each(['message', 'order'])('a background %s is in streams and history, and no list', async (type) => {
    const [to, from] = [`to-${type}`, `from-${type}`];
    const query = `recipient=${to}`;
    const [device, socket] = await Promise.all([
      DeviceStream.open(server.url, query),
      SocketDevice.open(server.url, query),
    ]);
    await Promise.all([device.waitFor('live'), socket.waitFor('live')]);
    const answer = await publish(server.url, {
      sender: from,
      recipient: to,
      type,
      content: 1,
      background: true,
    });
    expect(answer).toMatchObject({ status: 201, body: { type, background: true } });
    const message = answer.body as WireMessage;
    expect(await device.waitForMessages(1)).toEqual([message]);
    await until(() => socket.ids.includes(message.id));
    expect(socket.messages).toEqual([message]);
    expect((await get(server.url, `/messages/${message.id}`)).body).toEqual(message);
    for (const page of [`${query}&after=0`, `${query}&before=latest`, `between=${to}&between=${from}`]) {
      expect((await get(server.url, `/messages?${page}`)).body).toMatchObject({ messages: [message] });
    }
    const replay = await DeviceStream.open(server.url, `${query}&lastEventId=0`);
    await replay.waitFor('live');
    expect(replay.messages).toEqual([message]);
    for (const address of [to, from]) expect(await listOf(address)).toEqual([]);
    await isProjected(server.database);
    for (const address of [to, from]) expect(await listOf(address)).toEqual([]);
    expect((await mark(to, from, 2 ** 53 - 1)).body).toMatchObject({ content: { messageId: 1 } });
  });

  test('messages in the background leave their conversation as it is, in a batch and on a socket', async () => {
    const shapes = [
      {},
      { background: true },
      { type: 'order' },
      { type: 'order', background: true },
      { background: false },
    ];
    const batch = shapes.map((fields, content) => ({ sender: 'bea', recipient: 'bob', content, ...fields }));
    const answer = await publish(server.url, batch);
    const stored = answer.body as WireMessage[];
    expect(stored.map(({ background }) => background)).toEqual([undefined, true, undefined, true, undefined]);
    const socket = await SocketDevice.open(server.url, 'recipient=bob');
    const published = await socket.publish(
      { recipient: 'bob', sender: 'bea', content: 5, background: true },
      'r',
    );
    expect(published).toMatchObject({ event: 'published', data: { background: true } });
    expect(await pullAll(server.url, 'bob')).toEqual([...stored, published.data]);
    expect(await stateOf('bob&peer=bea')).toMatchObject({ lastMessage: stored[4], unread: 3 });
    expect(await stateOf('cyd&room=bob')).toMatchObject({ lastMessage: stored[4], unread: 3 });
  });
});

describe('one conversation', () => {
  test('the state of one conversation is the same as in the list', async () => {
    await send(server.url, 'dan', 1, { sender: 'eve' });
    const second = await send(server.url, 'eve', 2, { sender: 'dan' });
    const third = await send(server.url, 'dan', 3, { sender: 'eve' });
    await mark('dan', 'eve', second.id);
    const expected = {
      peer: 'eve',
      lastMessage: third,
      unread: 1,
      readThrough: second.id,
      peerReadThrough: null,
    };
    expect(await stateOf('dan&peer=eve')).toEqual(expected);
    expect(await listOf('dan')).toEqual([expected]);
    await isProjected(server.database);
    expect(await stateOf('dan&peer=eve')).toEqual(expected);
    const mirrored = { peer: 'dan', unread: 1, readThrough: null, peerReadThrough: second.id };
    expect(await stateOf('eve&peer=dan')).toEqual({ ...mirrored, lastMessage: third });
  });

  test('the state of a conversation without a message has its read markers', async () => {
    const none = { lastMessage: null, unread: 0, readThrough: null, peerReadThrough: null };
    expect(await stateOf('flo&peer=nobody')).toEqual({ peer: 'nobody', ...none });
    await mark('flo', 'gus', 1);
    expect(await stateOf('flo&peer=gus')).toEqual({ peer: 'gus', ...none, readThrough: 1 });
    expect(await stateOf('gus&peer=flo')).toEqual({ peer: 'flo', ...none, peerReadThrough: 1 });
  });

  test('the state of a conversation whose last message has expired shows the one before', async () => {
    const first = await send(server.url, 'hal', 1, { sender: 'ivy' });
    await send(server.url, 'hal', 2, { sender: 'ivy', ttl: 1 });
    for (const query of ['hal&peer=ivy', 'jan&room=hal']) {
      await until(async () => JSON.stringify(await stateOf(query)).includes('"unread":1'), 'the expiry');
      expect(await stateOf(query)).toMatchObject({ lastMessage: first, unread: 1 });
    }
  });

  test('the state of a conversation has a cursor with which a stream misses nothing', async () => {
    await send(server.url, 'kit', 1, { sender: 'leo' });
    for (const query of ['kit&peer=leo', 'mia&room=kit']) {
      const answer = await get(server.url, `/conversations?recipient=${query}`);
      const { cursor } = answer.body as { cursor: string };
      const missed = await send(server.url, 'kit', 2, { sender: 'leo' });
      const device = await DeviceStream.open(server.url, `recipient=kit&lastEventId=${cursor}`);
      await device.waitFor('live');
      expect(device.messages).toEqual([missed]);
    }
  });

  test.each([
    ['peer=bob&room=room-1', '/room'],
    ['peer=bob&limit=10', '/limit'],
    ['peer=bob&before=9', '/before'],
    ['room=bob&limit=10', '/limit'],
    ['room=bob&before=latest', '/before'],
    ['peer=', '/peer'],
    ['room=%20x', '/room'],
    ['peer=*', '/peer'],
    ['peer=bob&peer=eve', '/peer'],
    ['room=bob&room=eve', '/room'],
  ])('the state of a conversation is refused with %s', async (query, path) => {
    expectProblem(await get(server.url, `/conversations?recipient=bob&${query}`), 400, [path]);
  });
});

describe('a room', () => {
  test("the state of a room does not count one's own messages and read markers as unread", async () => {
    const none = { room: 'room-a', lastMessage: null, unread: 0, readThrough: null };
    expect(await stateOf('ann&room=room-a')).toEqual(none);
    const first = await send(server.url, 'room-a', 1, { sender: 'bob' });
    const second = await send(server.url, 'room-a', 2, { sender: 'cyd', type: 'order' });
    await send(server.url, 'room-a', 'silent', { sender: 'cyd', background: true });
    await mark('cyd', 'room-a', first.id);
    const found = { room: 'room-a', lastMessage: second, unread: 2, readThrough: null };
    expect(await stateOf('ann&room=room-a')).toEqual(found);
    expect(await stateOf('cyd&room=room-a')).toEqual({ ...found, unread: 0, readThrough: first.id });
    await mark('ann', 'room-a', first.id);
    const read = { ...found, unread: 1, readThrough: first.id };
    expect(await stateOf('ann&room=room-a')).toEqual(read);
    await isProjected(server.database);
    expect(await stateOf('ann&room=room-a')).toEqual(read);
    const own = await send(server.url, 'room-a', 3, { sender: 'ann' });
    expect(await stateOf('ann&room=room-a')).toEqual({ ...read, lastMessage: own });
    expect(await mark('ann', 'room-a', 2 ** 53 - 1)).toMatchObject({
      body: { content: { messageId: own.id } },
    });
    expect(await stateOf('ann&room=room-a')).toMatchObject({ unread: 0, readThrough: own.id });
  });

  test('the state of a room counts unread messages to 1000 and no further', async () => {
    for (const count of [700, 299, 1, 1]) {
      const one = { sender: 'bob', recipient: 'room-busy', content: 0 };
      await publish(
        server.url,
        Array.from({ length: count }, () => one),
      );
      const { unread } = (await stateOf('ann&room=room-busy')) as { unread: number };
      expect(unread).toBe({ 700: 700, 299: 999 }[count] ?? 1000);
    }
  });

  test('the state of a room needs a token that reads both addresses, whether the room has messages or not', async () => {
    const closed = await Server.start({ env: { AUTH_SECRET: SECRET } });
    const all = bearer(await tokenFor('backend', { sendAs: ['*'], sendTo: ['*'], read: ['*'] }));
    await publish(closed.url, { sender: 'bob', recipient: 'room-x', content: 1 }, all);
    const ask = async (sub: string, read: string[] | undefined, query: string): Promise<Answer> =>
      request(`${closed.url}/conversations?${query}`, {
        headers: bearer(await tokenFor(sub, read === undefined ? undefined : { read })),
      });
    for (const room of ['room-x', 'room-empty']) {
      const refused = [
        await ask('ann', undefined, `room=${room}`),
        await ask('ann', ['ann'], `recipient=ann&room=${room}`),
        await ask('ann', ['ann', 'room-'], `recipient=ann&room=${room}`),
      ];
      for (const answer of refused) expectProblem(answer, 403, ['/room']);
      expectProblem(await ask('ann', ['room-*'], `recipient=ann&room=${room}`), 403, ['/recipient']);
      expect((await ask('ann', ['ann', 'room-*'], `room=${room}`)).status).toBe(200);
    }
    const answer = await ask('ann', ['ann', 'room-x'], 'room=room-x');
    expect(answer.body).toMatchObject({ conversations: [{ room: 'room-x', unread: 1 }] });
    // A pair is as the list: it takes the right to one's own inbox alone.
    expect((await ask('ann', undefined, 'peer=room-x')).status).toBe(200);
  });
});

describe('retention', () => {
  test('retention removes messages in the background like any others, and conversations show the messages that are left', async () => {
    const limited = await Server.start({ env: { RETENTION_MESSAGES: '10' } });
    const { url } = limited;
    await send(url, 'bob', 'first', { sender: 'ann' });
    const shapes = [{ background: true }, { type: 'order' }, { type: 'order', background: true }];
    const batch = Array.from({ length: 60 }, (_, content) => ({
      sender: 'ann',
      recipient: 'bob',
      content,
      ...shapes[content % 3],
    }));
    await publish(url, batch);
    await until(() => readNumber(limited.database, 'SELECT count(*) FROM messages') === 10, 'the purge');
    await isProjected(limited.database);
    const left = (await pullAll(url, 'bob')).filter(({ background }) => background !== true);
    const state = { lastMessage: left.at(-1), unread: left.length };
    expect(await stateOf('bob&peer=ann', url)).toMatchObject(state);
    expect(await stateOf('eve&room=bob', url)).toMatchObject(state);
    await publish(
      url,
      Array.from({ length: 10 }, () => ({ sender: 'ann', recipient: 'bob', content: 0, background: true })),
    );
    await until(async () => (await listOf('bob', url)).length === 0, 'the conversation to be gone');
    await until(
      () => readNumber(limited.database, 'SELECT count(*) FROM pairMessages') === 10,
      'the pairs to be gone',
    );
    const none = { lastMessage: null, unread: 0 };
    expect(await stateOf('bob&peer=ann', url)).toMatchObject(none);
    expect(await stateOf('eve&room=bob', url)).toMatchObject(none);
  });
});

describe('a database from before there was a background', () => {
  /** Makes one as the version before left it, with `projected` of its ten messages in the conversations. */
  function oldDatabase(projected: number): string {
    const migrations = new URL('../../db/migrations/', import.meta.url);
    const file = join(newFolder(), 'tidings.sqlite');
    const old = new Sqlite(file);
    old.pragma('auto_vacuum = INCREMENTAL');
    old.pragma('journal_mode = WAL');
    const names = readdirSync(migrations)
      .sort()
      .filter((name) => name < '0006');
    for (const name of names) old.exec(readFileSync(new URL(name, migrations), 'utf8'));
    old.pragma('application_id = 0x54494447');
    old.pragma(`user_version = ${names.length}`);
    const insert = old.prepare(
      'INSERT INTO messages (id, sender, recipient, type, content, createdAt, idempotencyKey) VALUES (?, ?, ?, ?, ?, ?, ?)',
    );
    for (let id = 1; id <= 10; id++) {
      const sender = id === 10 ? 'shop' : 'ann';
      insert.run(
        id,
        sender,
        'bob',
        id <= 4 ? 'message' : 'order',
        `${id}`,
        Date.now(),
        id === 9 ? 'k' : null,
      );
    }
    old.exec("INSERT INTO runs (firstId, tag) VALUES (1, 'abcdef')");
    old.prepare('UPDATE position SET head = 10, projected = ?').run(projected);
    old
      .prepare(
        "INSERT INTO pairMessages SELECT recipient, sender, id, type = 'message', expiresAt FROM messages WHERE id <= ?",
      )
      .run(projected);
    if (projected > 0) {
      const last = Math.min(4, projected);
      old.exec(
        `INSERT INTO conversations (address, peer, lastId) VALUES ('bob', 'ann', ${last}), ('ann', 'bob', ${last})`,
      );
    }
    old.close();
    return file;
  }

  test.each([0, 3, 7, 10])(
    'a database from before there was a background keeps its meaning, also if only %d messages were projected',
    async (projected) => {
      const database = oldDatabase(projected);
      const upgraded = await Server.start({ database });
      const { url } = upgraded;
      const before = await pullAll(url, 'bob');
      expect(before.map(({ id, type, background }) => [id, type, background])).toEqual(
        Array.from({ length: 10 }, (_, index) => [index + 1, index < 4 ? 'message' : 'order', undefined]),
      );
      const check = async (): Promise<void> => {
        expect(await listOf('bob', url)).toMatchObject([{ peer: 'ann', unread: 4, lastMessage: { id: 4 } }]);
        expect(await stateOf('bob&peer=shop', url)).toMatchObject({ lastMessage: null, unread: 0 });
        expect(await stateOf('eve&room=bob', url)).toMatchObject({ lastMessage: { id: 4 }, unread: 4 });
      };
      await check();
      await isProjected(database);
      await check();
      // A repeat is answered with the first message, which counts no more than before.
      const key = { sender: 'ann', recipient: 'bob', type: 'order', content: 9, idempotencyKey: 'k' };
      expect(await publish(url, key)).toMatchObject({ status: 200, body: before[8] as object });
      await check();
      const order = await send(url, 'bob', 11, { sender: 'shop', type: 'order' });
      await send(url, 'bob', 12, { sender: 'ann', background: true });
      const both = [
        { peer: 'shop', unread: 1, lastMessage: order },
        { peer: 'ann', unread: 4, lastMessage: { id: 4 } },
      ];
      expect(await listOf('bob', url)).toMatchObject(both);
      await isProjected(database);
      expect(await listOf('bob', url)).toMatchObject(both);
      expect(await stateOf('eve&room=bob', url)).toMatchObject({ lastMessage: order, unread: 5 });
      expect(await mark('bob', 'ann', 2 ** 53 - 1, url)).toMatchObject({
        body: { content: { messageId: 4 } },
      });
      expect(await listOf('bob', url)).toMatchObject([
        { peer: 'shop', unread: 1 },
        { peer: 'ann', unread: 0 },
      ]);
    },
  );
});
