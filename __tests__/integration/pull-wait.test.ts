import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get, publish, send, type WireMessage } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

interface Page {
  readonly messages: WireMessage[];
  readonly cursor: string;
}

let server: Server;
beforeAll(async () => {
  server = await Server.start();
});
afterAll(cleanUp);

const devicesOf = async (address: string) => {
  const answer = await get(server.url, `/presence?recipient=${address}`);
  return (answer.body as Record<string, { devices: number }>)[address]?.devices;
};

/** The newest position of the log, as an address sees it. */
const headOf = async (address: string) =>
  ((await get(server.url, `/messages?recipient=${address}&before=latest`)).body as Page).cursor;

describe('a poll that waits', () => {
  test.each([
    ['another request', 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['something that is no request', 'no request at all\r\n\r\n'],
  ])(
    'a poll that waits is answered at once if %s follows it, because its client could not be seen to go',
    async (_what, behind) => {
      const socket = connect(server.port, '127.0.0.1');
      let received = '';
      socket.setEncoding('utf8').on('data', (text: string) => (received += text));
      socket.write('GET /messages?recipient=gus&wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await until(async () => (await devicesOf('gus')) === 1, 'the poll');
      socket.write(behind);
      await until(() => received.split('HTTP/1.1 ').length === 3, 'both answers');
      expect(received).toContain('{"messages":[],');
      expect(await devicesOf('gus')).toBe(0);
      socket.destroy();
    },
  );

  test('a poll that waits is answered at once if there are messages', async () => {
    const sent = await send(server.url, 'ann', 1);
    const answer = await get(server.url, '/messages?recipient=ann&wait=60');
    expect(answer.body).toMatchObject({ messages: [sent], gap: false, more: false });
  });

  test('a poll that waits is answered when one of its inboxes gets or sends a message', async () => {
    for (const fields of [{ recipient: 'ben' }, { recipient: 'cid' }, { recipient: 'else', sender: 'cid' }]) {
      const after = await headOf('ben');
      const poll = get(server.url, `/messages?recipient=ben&recipient=cid&wait=60&after=${after}`);
      await until(async () => (await devicesOf('cid')) === 1);
      await send(server.url, 'nobody', 'not for it');
      const published = await publish(server.url, { content: 1, ...fields });
      const answer = await poll;
      expect(answer.body).toMatchObject({
        messages: [published.body as WireMessage],
        gap: false,
        more: false,
      });
      const { cursor } = answer.body as Page;
      expect((await get(server.url, `/messages?recipient=ben&after=${cursor}`)).body).toMatchObject({
        messages: [],
      });
      await until(async () => (await devicesOf('cid')) === 0);
    }
  });

  test('a poll that waits is answered without messages when its time ends, with a cursor to go on', async () => {
    const answer = await get(server.url, '/messages?recipient=dan&wait=1');
    expect(answer).toMatchObject({ status: 200, body: { messages: [], gap: false, more: false } });
    const sent = await send(server.url, 'dan', 1);
    const next = await get(
      server.url,
      `/messages?recipient=dan&wait=60&after=${(answer.body as Page).cursor}`,
    );
    expect(next.body).toMatchObject({ messages: [sent] });
  });

  test('polls that are repeated with their cursor get every message once, in order', async () => {
    const met: number[] = [];
    const reader = (async () => {
      let after = '0';
      while (met.length < 200) {
        const answer = await get(server.url, `/messages?recipient=eve&wait=10&limit=7&after=${after}`);
        const { messages, cursor } = answer.body as Page;
        met.push(...messages.map(({ id }) => id));
        after = cursor;
      }
    })();
    const sent: number[] = [];
    for (let index = 0; index < 50; index += 1) {
      const some = await Promise.all(
        [0, 1, 2, 3].map((one) => send(server.url, one ? 'eve' : 'else', index, { sender: 'eve' })),
      );
      sent.push(...some.map(({ id }) => id));
    }
    await reader;
    expect(met).toEqual(sent.sort((a, b) => a - b));
  });

  test('a poll that waits is no device any more once its client has gone', async () => {
    const gone = new AbortController();
    const polls = Array.from({ length: 20 }, () =>
      fetch(`${server.url}/messages?recipient=fay&wait=60`, { signal: gone.signal }),
    );
    await until(async () => (await devicesOf('fay')) === 20);
    gone.abort();
    await Promise.allSettled(polls);
    await until(async () => (await devicesOf('fay')) === 0);
    await send(server.url, 'fay', 1);
    expect((await get(server.url, '/messages?recipient=fay&wait=60')).body).toMatchObject({
      messages: [{ content: 1 }],
    });
  });

  test('a poll that waits is answered when the server stops', async () => {
    const stopping = await Server.start();
    const poll = get(stopping.url, '/messages?recipient=gus&wait=60');
    await until(async () =>
      JSON.stringify((await get(stopping.url, '/presence?recipient=gus')).body).includes('"devices":1'),
    );
    expect((await stopping.stop()).code).toBe(0);
    expect(await poll).toMatchObject({ status: 200, body: { messages: [] } });
  });

  test.each(['61', '-1', 'x', '', '1e1'])('a poll with wait=%s is refused', async (wait) => {
    expectProblem(await get(server.url, `/messages?recipient=ann&wait=${wait}`), 400, ['/wait']);
  });

  test.each(['0', '60'])('a poll with wait=%s is served', async (wait) => {
    await send(server.url, 'hal', 1);
    expect((await get(server.url, `/messages?recipient=hal&wait=${wait}`)).status).toBe(200);
  });
});

describe('an expired message', () => {
  test('an expired message is in no list, replay or conversation, is 404 by its id, and is no gap', async () => {
    const device = await DeviceStream.open(server.url, 'recipient=ivy');
    const ready = await device.waitFor('ready');
    const first = await send(server.url, 'ivy', 'stays', { sender: 'jan' });
    // Long enough to be delivered where the disk is slow.
    const expiring = await send(server.url, 'ivy', 'goes', { sender: 'jan', ttl: 4 });
    const alone = await send(server.url, 'ivy', 'goes', { sender: 'kim', ttl: 4 });
    expect(await device.waitForMessages(3)).toEqual([first, expiring, alone]);
    for (const { id } of [expiring, alone]) {
      await until(async () => (await get(server.url, `/messages/${id}`)).status === 404);
    }
    for (const query of [
      'recipient=ivy',
      'recipient=ivy&before=latest',
      'recipient=ivy&recipient=kim&before=latest',
      'between=ivy&between=jan',
      `recipient=ivy&after=${ready.id ?? ''}`,
    ]) {
      expect((await get(server.url, `/messages?${query}`)).body).toMatchObject({
        messages: [first],
        more: false,
      });
    }
    for (const query of [`lastEventId=${ready.id ?? ''}`, 'lastEventId=0', 'last=10']) {
      const replay = await DeviceStream.open(server.url, `recipient=ivy&${query}`);
      await replay.waitFor('live');
      expect(replay.messages).toEqual([first]);
      expect(replay.find('ready')?.data).toMatchObject({ gap: false });
    }
    const conversations = await get(server.url, '/conversations?recipient=ivy');
    expect(conversations.body).toMatchObject({
      conversations: [{ peer: 'jan', lastMessage: first, unread: 1 }],
      more: false,
    });
    const after = await DeviceStream.open(server.url, 'recipient=ivy', { lastEventId: device.cursor ?? '' });
    await after.waitFor('live');
    expect(after.find('ready')?.data).toMatchObject({ gap: false });
  });
});
