import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get, publish, send } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { DeviceStream } from '../support/stream.ts';
import { bearer, type Grants, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const ephemeral = (fields: Record<string, unknown>) => ({
  content: 'typing',
  type: 'typing',
  ephemeral: true,
  ...fields,
});

describe('an ephemeral message', () => {
  let server: Server;
  beforeAll(async () => {
    server = await Server.start();
  });
  afterAll(cleanUp);

  test('an ephemeral message reaches the live streams of its recipient and its sender, each once, and says how many', async () => {
    const devices = await Promise.all(
      ['recipient=bob', 'recipient=bob&recipient=alice', 'recipient=alice'].map((query) =>
        DeviceStream.open(server.url, query),
      ),
    );
    const other = await DeviceStream.open(server.url, 'recipient=carol');
    await Promise.all([...devices, other].map((device) => device.waitFor('live')));
    const answer = await publish(server.url, ephemeral({ recipient: 'bob', sender: 'alice' }));
    expect(answer).toMatchObject({ status: 202, body: { devices: 3 } });
    expect(answer.body).toEqual({ devices: 3 });
    expect(answer.headers.get('location')).toBeNull();
    // The next message shows that nothing else came.
    const after = [await send(server.url, 'bob', 1, { sender: 'alice' }), await send(server.url, 'carol', 2)];
    for (const device of devices) {
      await device.waitForMessages(2);
      const [first, second] = device.messages;
      expect(first).toEqual({
        sender: 'alice',
        recipient: 'bob',
        type: 'typing',
        content: 'typing',
        createdAt: first?.createdAt,
      });
      expect(new Date(first?.createdAt ?? '').toISOString()).toBe(first?.createdAt);
      expect(second).toEqual(after[0]);
    }
    expect(await other.waitForMessages(1)).toEqual([after[1]]);
  });

  test('an ephemeral message has no id, and moves no cursor', async () => {
    const device = await DeviceStream.open(server.url, 'recipient=dora');
    const live = await device.waitFor('live');
    await publish(server.url, ephemeral({ recipient: 'dora' }));
    await device.waitForMessages(1);
    const frame = device.raw.slice(device.raw.indexOf('event: live')).split('\n\n')[1] ?? '';
    expect(frame).toMatch(/^data: \{[^\n]*\}$/);
    expect(frame).not.toContain('"id"');
    expect(device.cursor).toBe(live.id);
  });

  test('an ephemeral message is in no replay, no list and no conversation, and takes no id', async () => {
    const { id } = await send(server.url, 'emil', 'before');
    expect((await publish(server.url, ephemeral({ recipient: 'emil', type: 'message' }))).status).toBe(202);
    expect((await send(server.url, 'emil', 'after', { background: true })).id).toBe(id + 1);
    for (const path of ['/messages?recipient=emil', '/messages?recipient=emil&before=latest']) {
      const { messages } = (await get(server.url, path)).body as { messages: { content: unknown }[] };
      expect(messages.map(({ content }) => content)).toEqual(['before', 'after']);
    }
    const replay = await DeviceStream.open(server.url, 'recipient=emil&lastEventId=0');
    await replay.waitFor('live');
    expect(replay.messages).toHaveLength(2);
    expect((await get(server.url, '/conversations?recipient=emil')).body).toMatchObject({
      conversations: [{ unread: 1, lastMessage: { id } }],
    });
  });

  test('an ephemeral message does not answer a held poll', async () => {
    const poll = get(server.url, '/messages?recipient=fritz&wait=60');
    const online = async () => (await get(server.url, '/presence?recipient=fritz')).body as object;
    await until(async () => JSON.stringify(await online()).includes('"online":true'));
    expect((await publish(server.url, ephemeral({ recipient: 'fritz' }))).body).toEqual({ devices: 0 });
    const sent = await send(server.url, 'fritz', 1);
    expect((await poll).body).toMatchObject({ messages: [sent] });
  });

  test('an ephemeral message that nobody receives is answered with 0 devices', async () => {
    const answer = await publish(server.url, ephemeral({ recipient: 'nobody' }));
    expect(answer).toMatchObject({ status: 202, body: { devices: 0 } });
  });

  test.each<[string, unknown, Record<string, string>, string[]]>([
    ['a ttl', ephemeral({ recipient: 'bob', ttl: 60 }), {}, ['/ttl']],
    ['a key', ephemeral({ recipient: 'bob', idempotencyKey: 'k' }), {}, ['/idempotencyKey']],
    ['background', ephemeral({ recipient: 'bob', background: true }), {}, ['/background']],
    ['a key in the header', ephemeral({ recipient: 'bob' }), { 'Idempotency-Key': 'k' }, ['/idempotencyKey']],
    [
      'a batch around it',
      [{ recipient: 'bob', content: 1 }, ephemeral({ recipient: 'bob' })],
      {},
      ['/1/ephemeral'],
    ],
    ['a bad recipient', ephemeral({ recipient: '$x' }), {}, ['/recipient']],
    ['no content', ephemeral({ recipient: 'bob', content: undefined }), {}, ['/content']],
    ['a bad type', ephemeral({ recipient: 'bob', type: 'T' }), {}, ['/type']],
  ])('an ephemeral message with %s is refused', async (_what, body, headers, paths) => {
    expectProblem(await publish(server.url, body, headers), 400, paths);
  });

  test('an ephemeral message of more than 48 KiB is 413', async () => {
    const content = 'x'.repeat(48 * 1024 - 2);
    expect((await publish(server.url, ephemeral({ recipient: 'nobody', content }))).status).toBe(202);
    expectProblem(
      await publish(server.url, ephemeral({ recipient: 'nobody', content: `${content}x` })),
      413,
      ['/content'],
    );
  });

  test('an ephemeral message reaches a stream of the whole log', async () => {
    const device = await DeviceStream.open(server.url, 'recipient=*');
    await device.waitFor('live');
    expect((await publish(server.url, ephemeral({ recipient: 'gina' }))).body).toEqual({ devices: 1 });
    expect(await device.waitForMessages(1)).toMatchObject([{ recipient: 'gina', type: 'typing' }]);
  });
});

describe('an ephemeral message of a client with a token', () => {
  let server: Server;
  beforeAll(async () => {
    server = await Server.start({ env: { AUTH_SECRET: SECRET } });
  });
  afterAll(cleanUp);

  test.each<[string, Grants, object]>([
    ['may not see the presence of its recipient', { presence: [] }, {}],
    ['may see the presence of others only', { presence: ['carol'] }, {}],
    ['may read that inbox, and see nobody', { read: ['bob'], presence: [] }, {}],
    ['may see the presence of its recipient', { presence: ['bob'] }, { devices: 1 }],
    ['may read that inbox, and presence follows', { read: ['b*'] }, { devices: 1 }],
  ])(
    'an ephemeral message of a client that %s, with %j, is answered with %j',
    async (_who, grants, answer) => {
      const device = await DeviceStream.open(server.url, '', { headers: bearer(await tokenFor('bob')) });
      await device.waitFor('live');
      const headers = bearer(await tokenFor('alice', { sendTo: ['bob'], ...grants }));
      const posted = await publish(server.url, ephemeral({ recipient: 'bob' }), headers);
      expect([posted.status, posted.body]).toEqual([202, answer]);
      const own = grants.read === undefined ? '' : 'recipient=bob';
      const socket = await SocketDevice.open(server.url, own, { headers });
      await socket.waitFor('live');
      const published = await socket.publish(ephemeral({ recipient: 'bob' }), 'r');
      expect(published).toMatchObject({ event: 'published', ref: 'r' });
      expect(Object.keys(published.data as object)).toEqual(Object.keys(answer));
      await device.waitForMessages(2);
      device.cut();
      socket.cut();
    },
  );
});
