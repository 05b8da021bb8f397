import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get } from 'node:http';
import { type Answer, publish, request, type WireMessage } from '../support/api.ts';
import { errorPaths, expectProblem } from '../support/problems.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { bearer, type Grants, SECRET, tokenFor } from '../support/tokens.ts';
import { words } from '../support/words.ts';

const ALL: Grants = { read: ['*'], sendAs: ['*'], sendTo: ['*'] };
let server: Server;
let backend: Record<string, string>;
const sent = new Map<string, WireMessage>();
beforeAll(async () => {
  server = await Server.start({ env: { AUTH_SECRET: SECRET, PUBLISH_RATE: '0' } });
  backend = bearer(await tokenFor('backend', ALL));
  const pairs = words('alice>bob bob>alice carol>bob carol>dave alice>alice dave>room-1 x>bobby');
  for (const pair of pairs) {
    sent.set(pair, await deliver(pair));
  }
});
afterAll(cleanUp);

/** Sends a message of a pair, given as `sender>recipient`. */
async function deliver(pair: string, fields: object = {}): Promise<WireMessage> {
  const [sender, recipient] = pair.split('>');
  const answer = await publish(server.url, { sender, recipient, content: pair, ...fields }, backend);
  return answer.body as WireMessage;
}

/** The status of a path, without waiting for the end of what is answered. */
function statusOf(path: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(`${server.url}${path}`, { headers, agent: false }, (response) => {
      resolve(response.statusCode);
      response.destroy();
    }).on('error', reject);
  });
}

const enc = encodeURIComponent;
/** Every way to read of one address. */
const READS: [string, (address: string) => string][] = [
  ['a poll', (address) => `/messages?recipient=${enc(address)}`],
  ['a poll with wait', (address) => `/messages?recipient=${enc(address)}&after=0&wait=1`],
  ['history', (address) => `/messages?recipient=${enc(address)}&before=latest`],
  ['a conversation with another', (address) => `/messages?between=${enc(address)}&between=nobody-else`],
  ['a conversation of another', (address) => `/messages?between=nobody-else&between=${enc(address)}`],
  ['a stream', (address) => `/stream?recipient=${enc(address)}`],
  ['conversations', (address) => `/conversations?recipient=${enc(address)}`],
  ['one conversation', (address) => `/conversations?recipient=${enc(address)}&peer=nobody-else`],
  ['how it stands in a room', (address) => `/conversations?recipient=${enc(address)}&room=${enc(address)}`],
  ['presence', (address) => `/presence?recipient=${enc(address)}`],
];

describe.each<[string, string, Grants | undefined, string[], string[]]>([
  ['without a claim', 'bob', undefined, ['bob'], ['bobby', 'bo', 'Bob', 'b', 'alice', 'b\u043eb']],
  ['with an empty claim', 'bob', {}, ['bob'], ['bobby', 'alice']],
  ['with an empty list', 'bob', { read: [] }, [], ['bob', 'alice']],
  ['with a list without its own', 'bob', { read: ['alice'] }, ['alice'], ['bob', 'alice2', 'alic']],
  ['with a list', 'bob', { read: ['bob', 'carol'] }, ['bob', 'carol'], ['alice', 'bobby']],
  [
    'with a prefix',
    'bob',
    { read: ['room-*'] },
    ['room-', 'room-1', 'room-*'.slice(0, -1)],
    ['room', 'Room-1', 'my-room-1', 'bob'],
  ],
  ['with *', 'bob', { read: ['*'] }, ['bob', 'alice', 'whoever', '__proto__'], []],
  ['that may send to all', 'bob', { sendTo: ['*'], sendAs: ['*'] }, ['bob'], ['alice', 'bobby']],
  ['named as a property', 'constructor', undefined, ['constructor'], ['__proto__', 'toString', 'bob']],
])('a token %s', (_what, sub, grants, allowed, refused) => {
  test.each(READS)('a token reads by %s exactly the inboxes that it may', async (_name, path) => {
    const headers = bearer(await tokenFor(sub, grants));
    for (const address of [...allowed, ...refused]) {
      const status = allowed.includes(address) ? 200 : 403;
      expect([address, await statusOf(path(address), headers)]).toEqual([address, status]);
    }
  });

  test('a token reads several inboxes only if it may read each', async () => {
    const headers = bearer(await tokenFor(sub, grants));
    const [first = 'nobody'] = refused;
    for (const path of ['/messages?', '/messages?before=latest&', '/stream?', '/presence?']) {
      const ask = (addresses: string[]) =>
        statusOf(path + addresses.map((address) => `recipient=${enc(address)}`).join('&'), headers);
      expect(await ask([...allowed, ...refused])).toBe(refused.length === 0 ? 200 : 403);
      if (allowed.length > 0) expect(await ask(allowed)).toBe(200);
      if (refused.length > 0) expect(await ask([...allowed, first])).toBe(403);
    }
  });

  test('a token reads the whole log only with *', async () => {
    const headers = bearer(await tokenFor(sub, grants));
    const status = grants?.read?.includes('*') === true ? 200 : 403;
    for (const path of ['/messages?', '/messages?before=latest&', '/stream?']) {
      expect(await statusOf(`${path}recipient=*`, headers)).toBe(status);
    }
  });
});

test('a token with a prefix for every letter may not read the whole log', async () => {
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789'.split('');
  const headers = bearer(await tokenFor('bob', { read: letters.map((letter) => `${letter}*`) }));
  for (const path of ['/messages', '/stream']) {
    expectProblem(await request(`${server.url}${path}?recipient=*`, { headers }), 403, ['/recipient']);
  }
});

test('a refusal to read names the parameter, and is the same for HEAD and for an event stream', async () => {
  const headers = bearer(await tokenFor('bob'));
  for (const [path, paths] of [
    ['/messages?recipient=alice', ['/recipient']],
    ['/messages?recipient=alice&before=latest', ['/recipient']],
    ['/messages?recipient=bob&recipient=alice&before=latest', ['/recipient']],
    ['/messages?between=alice&between=carol', ['/between']],
    ['/stream?recipient=alice', ['/recipient']],
    ['/stream?presence=alice', ['/presence']],
    ['/stream?recipient=bob&presence=bob&presence=alice', ['/presence']],
    ['/conversations?recipient=alice', ['/recipient']],
    ['/conversations?recipient=alice&peer=bob', ['/recipient']],
    ['/conversations?recipient=alice&room=bob', ['/recipient']],
    ['/conversations?recipient=bob&room=room-1', ['/room']],
    ['/conversations?room=room-nobody-wrote-to', ['/room']],
    ['/presence?recipient=alice', ['/recipient']],
  ] as const) {
    const answer = await request(`${server.url}${path}`, { headers });
    expectProblem(answer, 403);
    expect([...new Set(errorPaths(answer))]).toEqual(paths);
    const stream = { ...headers, Accept: 'text/event-stream' };
    expectProblem(await request(`${server.url}${path}`, { headers: stream }), 403);
    expect((await request(`${server.url}${path}`, { method: 'HEAD', headers })).status).toBe(403);
  }
});

describe('presence', () => {
  test.each<[string, Grants, string[], string[]]>([
    ['follows the right to read without a list', { read: ['alice', 'room-*'] }, ['alice', 'room-1'], ['bob']],
    [
      'follows its own list',
      { read: ['alice'], presence: ['carol', 'p-*'] },
      ['carol', 'p-1'],
      ['alice', 'bob'],
    ],
    ['covers nobody with an empty list', { read: ['*'], presence: [] }, [], ['alice', 'bob']],
    ['covers everybody with *', { presence: ['*'] }, ['alice', 'bob', 'z'], []],
  ])('the right to see presence %s', async (_what, grants, allowed, refused) => {
    const headers = bearer(await tokenFor('bob', grants));
    const own = grants.read === undefined || grants.read.includes('*') ? 'bob' : 'alice';
    for (const address of [...allowed, ...refused]) {
      const status = allowed.includes(address) ? 200 : 403;
      expect(await statusOf(`/presence?recipient=${address}`, headers)).toBe(status);
      expect(await statusOf(`/stream?recipient=${own}&presence=${address}`, headers)).toBe(status);
    }
  });

  test('the right to see presence gives no right to read', async () => {
    const headers = bearer(await tokenFor('bob', { presence: ['*'] }));
    expect(await statusOf('/stream?recipient=alice', headers)).toBe(403);
    expect(await statusOf('/messages?recipient=alice', headers)).toBe(403);
  });
});

describe('a request without an inbox', () => {
  test('a poll, history and a stream without an inbox have the inbox of the token', async () => {
    const headers = bearer(await tokenFor('bob'));
    const own = await request(`${server.url}/messages?recipient=bob`, { headers });
    expect((await request(`${server.url}/messages`, { headers })).body).toEqual(own.body);
    expect((own.body as { messages: unknown[] }).messages).toHaveLength(3);
    const device = await DeviceStream.open(server.url, 'last=10', { headers });
    await device.waitForMessages(3);
    device.cut();
  });

  test('a request without an inbox is refused if the token may not read its own', async () => {
    const headers = bearer(await tokenFor('bob', { read: ['alice'] }));
    expect([await statusOf('/messages', headers), await statusOf('/stream', headers)]).toEqual([403, 403]);
  });
});

describe('a single message', () => {
  const read = async (pair: string, sub: string, grants?: Grants): Promise<Answer> =>
    request(`${server.url}/messages/${sent.get(pair)?.id}`, { headers: bearer(await tokenFor(sub, grants)) });

  test.each<[string, string, Grants | undefined, number]>([
    ['alice>bob', 'alice', undefined, 200],
    ['alice>bob', 'bob', undefined, 200],
    ['alice>bob', 'carol', undefined, 404],
    ['x>bobby', 'bob', undefined, 404],
    ['alice>bob', 'alice', { read: [] }, 404],
    ['dave>room-1', 'bob', { read: ['room-*'] }, 200],
    ['carol>dave', 'bob', { read: ['room-*'] }, 404],
    ['carol>dave', 'bob', { sendTo: ['*'], sendAs: ['*'], presence: ['*'] }, 404],
    ['carol>dave', 'bob', ALL, 200],
  ])('GET of the message %s by %s with %j answers %i', async (pair, sub, grants, status) => {
    const answer = await read(pair, sub, grants);
    expect(answer.status).toBe(status);
    if (status === 200) expect(answer.body).toEqual(sent.get(pair));
  });
});
