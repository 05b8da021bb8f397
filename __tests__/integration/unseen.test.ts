import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { publish, request, type WireMessage } from '../support/api.ts';
import { rawRequest } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { bearer, type Grants, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { words } from '../support/words.ts';

let server: Server;
let backend: Record<string, string>;
let bob: Record<string, string>;
let hidden: WireMessage;
let online: DeviceStream;
beforeAll(async () => {
  server = await Server.start({ env: { AUTH_SECRET: SECRET, PUBLISH_RATE: '0' } });
  backend = bearer(await tokenFor('backend', { read: ['*'], sendAs: ['*'], sendTo: ['*'] }));
  bob = bearer(await tokenFor('bob'));
  hidden = await deliver('carol>dave');
  online = await DeviceStream.open(server.url, '', { headers: bearer(await tokenFor('carol')) });
  await online.waitFor('live');
});
afterAll(cleanUp);

async function deliver(pair: string, fields: object = {}): Promise<WireMessage> {
  const [sender, recipient] = pair.split('>');
  const answer = await publish(server.url, { sender, recipient, content: pair, ...fields }, backend);
  expect([201, 202]).toContain(answer.status);
  return answer.body as WireMessage;
}

/** All of an answer, but for when it was given and what the request itself has. */
async function whole(method: string, path: string, headers: Record<string, string>): Promise<string> {
  const { head, text } = await rawRequest(server.port, { method, path, headers });
  return `${head}\n\n${text}`.replaceAll(/^(Date|X-Request-Id): .*$/gm, '$1');
}

describe('requests without the right to read', () => {
  test.each(['GET', 'HEAD'])('%s of a forbidden message is the same as of no message', async (method) => {
    const there = await whole(method, `/messages/${hidden.id}`, bob);
    expect(there).toMatch(/^HTTP\/1\.1 404 /);
    for (const id of [hidden.id + 1000, Number.MAX_SAFE_INTEGER]) {
      expect(await whole(method, `/messages/${id}`, bob)).toBe(there);
    }
  });

  test.each([
    ['an inbox', '/messages?recipient=NAME'],
    ['an inbox after a message', '/messages?recipient=NAME&after=1'],
    ['an inbox that is waited for', '/messages?recipient=NAME&wait=1'],
    ['an inbox beside the own', '/messages?recipient=bob&recipient=NAME'],
    ['history', '/messages?recipient=NAME&before=latest'],
    ['history beside the own', '/messages?recipient=bob&recipient=NAME&before=latest'],
    ['a conversation', '/messages?between=NAME&between=dave'],
    ['a stream', '/stream?recipient=NAME'],
    ['a stream with history', '/stream?recipient=NAME&last=10'],
    ['a stream of a cursor', '/stream?recipient=NAME&lastEventId=0'],
    ['presence on a stream', '/stream?presence=NAME'],
    ['conversations', '/conversations?recipient=NAME'],
    ['presence', '/presence?recipient=NAME'],
  ])('a refusal is the same whether the address exists or not: %s', async (_what, path) => {
    for (const accept of ['*/*', 'text/event-stream']) {
      const headers = { ...bob, Accept: accept };
      const there = await whole('GET', path.replace('NAME', 'carol'), headers);
      expect(there).toMatch(/^HTTP\/1\.1 403 /);
      for (const name of ['nobody', 'ghost']) {
        const not = await whole('GET', path.replace('NAME', name), headers);
        expect(not.replaceAll(name, 'carol')).toBe(there);
      }
    }
  });

  test('the refusal of a publish is the same whether its idempotency key exists or not', async () => {
    await deliver('carol>dave', { idempotencyKey: 'k' });
    const draft = { sender: 'carol', recipient: 'dave', content: 'carol>dave' };
    const there = await publish(server.url, { ...draft, idempotencyKey: 'k' }, bob);
    const not = await publish(server.url, { ...draft, idempotencyKey: 'other' }, bob);
    expect([there.status, there.body]).toEqual([403, not.body]);
  });
});

describe('messages of others', () => {
  /** The messages that are sent, in order, and those that each reader may see. */
  const PAIRS = words(`
    alice>bob bob>alice carol>bob carol>dave alice>alice dave>room-1 dave>bobby alice>room-1 b>b
  `);
  const both = { read: ['alice', 'bob'] };
  const READERS: [string, Grants | undefined, string, (sender: string, recipient: string) => boolean][] = [
    ['alice', undefined, '', (...pair) => pair.includes('alice')],
    ['bob', undefined, 'recipient=bob&', (...pair) => pair.includes('bob')],
    [
      'x',
      both,
      'recipient=alice&recipient=bob&',
      (...pair) => pair.includes('alice') || pair.includes('bob'),
    ],
    ['x', both, 'recipient=alice&', (...pair) => pair.includes('alice')],
    ['x', { read: ['room-*'] }, 'recipient=room-1&recipient=room-2&', (...pair) => pair.includes('room-1')],
    ['quiet', undefined, '', () => false],
    ['x', { read: ['*'] }, 'recipient=*&', () => true],
  ];

  test('a stream or poll gets only messages of its grants, live, replayed and ephemeral', async () => {
    const start = await deliver('start>start');
    const readers = await Promise.all(
      READERS.map(async ([sub, grants, query, sees]) => {
        const headers = bearer(await tokenFor(sub, grants));
        const device = await DeviceStream.open(server.url, query.slice(0, -1), { headers });
        await device.waitFor('live');
        const poll = request(`${server.url}/messages?${query}after=${start.id}&wait=60`, { headers });
        return { headers, query, device, poll, sees };
      }),
    );
    const seen = PAIRS.flatMap((pair) => [`${pair} typing`, pair]);
    for (const pair of PAIRS) {
      await deliver(pair, { ephemeral: true, content: `${pair} typing` });
      await deliver(pair);
    }
    for (const { headers, query, device, sees } of readers) {
      const visible = (pairs: string[]) =>
        pairs.filter((pair) => sees(...(pair.replace(' typing', '').split('>') as [string, string])));
      const contents = (messages: readonly WireMessage[]) => messages.map(({ content }) => content);
      // The last message of the log comes after everything that could have leaked.
      const live = visible(seen);
      await until(() => device.messages.length >= live.length);
      const pulled = await request(`${server.url}/messages?${query}after=${start.id}`, { headers });
      expect(contents((pulled.body as { messages: WireMessage[] }).messages)).toEqual(visible(PAIRS));
      const replayed = await DeviceStream.open(server.url, `${query}lastEventId=${start.id}`, { headers });
      await replayed.waitFor('live');
      expect(contents(replayed.messages)).toEqual(visible(PAIRS));
      expect(contents(device.messages)).toEqual(live);
      replayed.cut();
    }
    // Nobody wrote to who is quiet: the poll is still held, and ends by a message of its own.
    await deliver('start>quiet');
    const quiet = readers[5]?.device;
    expect((await quiet?.waitForMessages(1))?.map(({ content }) => content)).toEqual(['start>quiet']);
    for (const [index, { poll, sees }] of readers.entries()) {
      const { messages } = (await poll).body as { messages: WireMessage[] };
      expect(messages.length).toBeGreaterThan(0);
      if (index === 5) expect(messages.map(({ content }) => content)).toEqual(['start>quiet']);
      else expect(messages.every(({ sender, recipient }) => sees(sender, recipient))).toBe(true);
    }
    for (const { device } of readers) device.cut();
  });

  test('conversations have only messages of their address', async () => {
    const headers = bearer(await tokenFor('b'));
    const answer = await request(`${server.url}/conversations`, { headers });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      conversations: [{ peer: 'b', lastMessage: { content: 'b>b' } }],
      more: false,
    });
    expect(await whole('GET', '/messages?between=b&between=dave', headers)).toContain('"messages":[]');
  });
});
