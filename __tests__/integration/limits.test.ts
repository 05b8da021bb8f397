import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Answer, publish, request } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { PushDevice } from '../support/push-device.ts';
import { rawRequest } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { DeviceStream } from '../support/stream.ts';
import { bearer, type Grants, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

afterAll(cleanUp);

const start = (env: Record<string, string>) => Server.start({ env: { AUTH_SECRET: SECRET, ...env } });
const headersOf = async (sub: string, grants: Grants = {}) =>
  bearer(await tokenFor(sub, { sendTo: ['*'], ...grants }));
const message = { recipient: 'bob', content: 1 };
const batch = (count: number) => Array.from({ length: count }, () => message);

/**
 * Publishes one after the other until one is refused, and asserts that the burst passed, and what the rate gave in the
 * time that this took, and no more.
 */
async function drain(server: Server, headers: Record<string, string>, rate: number): Promise<Answer> {
  const began = performance.now();
  for (let count = 0; ; count += 1) {
    const answer = await publish(server.url, message, headers);
    if (answer.status === 429) {
      const most = rate * (2 + (performance.now() - began) / 1000) + 1;
      expect([count, count >= rate * 2 - 1 && count <= most]).toEqual([count, true]);
      return answer;
    }
    expect(answer.status).toBe(201);
    if (count > 2000) throw new Error('there is no limit');
  }
}

/** Has a client owe so much that its bucket stays empty for seconds: one that was only drained may soon be refilled. */
async function overdraw(server: Server, headers: Record<string, string> = {}): Promise<void> {
  await until(async () => (await publish(server.url, batch(12), headers)).status === 201, 'a batch');
}

/** Asserts a refusal, and gives the seconds that it says. */
function expectTooFast(answer: Answer): number {
  expectProblem(answer, 429, []);
  const wait = answer.headers.get('retry-after') ?? '';
  expect(wait).toMatch(/^[1-9]\d*$/);
  return Number(wait);
}

describe("the rate of a client's publishes", () => {
  test('a client publishes a burst of twice its rate, and then waits only as long as Retry-After says', async () => {
    const server = await start({ PUBLISH_RATE: '2' });
    const [al, bo] = [await headersOf('al'), await headersOf('bo')];
    const wait = expectTooFast(await drain(server, al, 2));
    expect(wait).toBe(1);
    await sleep(wait * 1000 + 20);
    expect((await publish(server.url, message, al)).status).toBe(201);
    // Another client has a bucket of its own, another token of the same client has not.
    await overdraw(server, al);
    expect((await publish(server.url, message, bo)).status).toBe(201);
    expectTooFast(await publish(server.url, message, await headersOf('al', { read: ['x'] })));
    await server.kill();
  });

  test('a client publishes a batch larger than its burst, and pays for it afterwards', async () => {
    const server = await start({ PUBLISH_RATE: '5' });
    const headers = await headersOf('al');
    const began = performance.now();
    expect((await publish(server.url, batch(30), headers)).status).toBe(201);
    // 30 of 10 are taken: four seconds until there is one again.
    const wait = expectTooFast(await publish(server.url, message, headers));
    expect(wait).toBeLessThanOrEqual(4);
    expect(wait).toBeGreaterThanOrEqual(4 - (performance.now() - began) / 1000);
    await sleep(wait * 1000 + 20);
    expect((await publish(server.url, message, headers)).status).toBe(201);
    await server.kill();
  });

  test('a client publishes at the rate of its claim, be it lower or higher than the default', async () => {
    const server = await start({ PUBLISH_RATE: '5' });
    const [slow, fast] = [await headersOf('slow', { rate: 1 }), await headersOf('fast', { rate: 100_000 })];
    await drain(server, slow, 1);
    for (let count = 0; count < 50; count += 1)
      expect((await publish(server.url, message, fast)).status).toBe(201);
    expect((await publish(server.url, batch(1000), fast)).status).toBe(201);
    expect((await publish(server.url, message, fast)).status).toBe(201);
    await server.kill();
  });

  test('ephemeral messages and forms count against the same rate as other publishes', async () => {
    const server = await start({ PUBLISH_RATE: '2' });
    const headers = await headersOf('al');
    const statuses: number[] = [];
    const began = performance.now();
    for (let count = 0; statuses.at(-1) !== 429 && count < 40; count += 1) {
      const form = new URLSearchParams({ recipient: 'bob', content: 'x', ephemeral: 'true' });
      const answer =
        count % 2 === 0
          ? await publish(server.url, { ...message, ephemeral: true }, headers)
          : await request(`${server.url}/messages`, { method: 'POST', headers, body: form });
      statuses.push(answer.status);
    }
    expect(statuses.slice(0, 4)).toEqual([202, 202, 202, 202]);
    expect(statuses).toContain(429);
    expect(statuses.length - 1).toBeLessThanOrEqual(2 * (2 + (performance.now() - began) / 1000) + 1);
    await server.kill();
  });

  test('a client publishes 100 messages a second by default, and any number with PUBLISH_RATE=0', async () => {
    const [server, free] = [await start({}), await start({ PUBLISH_RATE: '0' })];
    const headers = await headersOf('al');
    expect((await publish(server.url, batch(199), headers)).status).toBe(201);
    expect((await publish(server.url, batch(1000), headers)).status).toBe(201);
    // 999 messages, and the bytes of both batches.
    expect(expectTooFast(await publish(server.url, message, headers))).toBeLessThanOrEqual(11);
    for (let count = 0; count < 5; count += 1)
      expect((await publish(free.url, batch(1000), headers)).status).toBe(201);
    await Promise.all([server.kill(), free.kill()]);
  });

  test('in open mode there is no rate by default, and PUBLISH_RATE sets one for all clients together', async () => {
    const [free, limited] = [await Server.start(), await Server.start({ env: { PUBLISH_RATE: '2' } })];
    for (let count = 0; count < 5; count += 1)
      expect((await publish(free.url, batch(1000))).status).toBe(201);
    await drain(limited, {}, 2);
    await overdraw(limited);
    expectTooFast(await publish(limited.url, { ...message, sender: 'another' }));
    await Promise.all([free.kill(), limited.kill()]);
  });
});

describe('a client over its rate', () => {
  test('a page of CORS_ORIGINS may read the 429 of a client over its rate', async () => {
    const origin = 'https://partner.example';
    const server = await start({ PUBLISH_RATE: '1', CORS_ORIGINS: origin });
    const headers = { ...(await headersOf('al')), Origin: origin, 'Content-Type': 'application/json' };
    const body = JSON.stringify(batch(10));
    const ask = () => rawRequest(server.port, { method: 'POST', path: '/messages', headers, body });
    const answers = [await ask(), await ask()];
    expect(answers.map(({ status }) => status)).toContain(429);
    for (const answer of answers) {
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
    }
    await server.kill();
  });

  test('a client over its rate may not subscribe to notifications', async () => {
    const server = await start({ PUBLISH_RATE: '1' });
    const headers = { ...(await headersOf('al')), 'Content-Type': 'application/json' };
    const { subscription } = new PushDevice('fcm.googleapis.com');
    const body = JSON.stringify({ subscription });
    const statuses: number[] = [];
    const began = performance.now();
    while (statuses.at(-1) !== 429 && statuses.length < 40) {
      const answer = await request(`${server.url}/push-subscriptions`, { method: 'POST', headers, body });
      statuses.push(answer.status);
    }
    expect(statuses).toContain(429);
    // The burst, and what the rate gave in the time that this took.
    expect(statuses.length - 1).toBeLessThanOrEqual(3 + (performance.now() - began) / 1000);
    expect(statuses[0]).toBe(201);
    await server.kill();
  });
});

describe('the price of a publish', () => {
  const KIB = 1024;
  const MIB = KIB * KIB;
  /** Messages a second: so few that `Retry-After` tells, to the message, what was taken. */
  const RATE = 0.001;
  const JSON_TYPE = { 'Content-Type': 'application/json' };
  const ZIPPED = { ...JSON_TYPE, 'Content-Encoding': 'gzip' };
  const FORM_TYPE = { 'Content-Type': 'application/x-www-form-urlencoded' };
  const padded = (bytes: number): string => JSON.stringify(message).padEnd(bytes);
  const taken = (seconds: number): number => Math.round((seconds + 2 * RATE) * RATE);

  let server: Server;
  let clients = 0;
  const newClient = () => headersOf(`client-${clients++}`, { sendTo: ['bob'], rate: RATE });
  beforeAll(async () => {
    server = await start({});
  });

  test.each<[string, number, number, string | Buffer, Record<string, string>]>([
    ['a message', 201, 1, padded(0), JSON_TYPE],
    ['a batch', 201, 30, JSON.stringify(batch(30)), JSON_TYPE],
    ['malformed JSON', 400, 1, '{', JSON_TYPE],
    ['another content type', 415, 1, '{}', { 'Content-Type': 'text/plain' }],
    ['a message that one may not send', 403, 1, '{"recipient":"x","content":1}', JSON_TYPE],
    [
      'a batch that one may not send',
      403,
      51,
      JSON.stringify([...batch(50), { ...message, recipient: 'x' }]),
      JSON_TYPE,
    ],
    ['a batch of too many', 400, 1501, JSON.stringify(Array(1501).fill(1)), JSON_TYPE],
    ['an empty batch', 400, 1, '[]', JSON_TYPE],
    ['4 KiB less one byte', 201, 1, padded(4 * KIB - 1), JSON_TYPE],
    ['4 KiB', 201, 2, padded(4 * KIB), JSON_TYPE],
    ['4 MiB', 201, 1025, padded(4 * MIB), JSON_TYPE],
    ['4 MiB that were compressed', 201, 1025, gzipSync(padded(4 * MIB)), ZIPPED],
    ['4 MiB that are refused', 413, 1025, gzipSync(`[${'1,'.repeat(2 * MIB)}`.slice(0, 4 * MIB)), ZIPPED],
    ['more than 4 MiB', 413, 1025, gzipSync(padded(5 * MIB)), ZIPPED],
    ['a form', 400, 3, `content=${'x'.repeat(8 * KIB)}`, FORM_TYPE],
  ])('a publish of %s is answered with %i, and costs %i', async (_what, status, price, body, headers) => {
    const client = await newClient();
    const request = { method: 'POST', headers: { ...client, ...headers }, body };
    expect((await fetch(`${server.url}/messages`, request)).status).toBe(status);
    expect(taken(expectTooFast(await publish(server.url, message, client)))).toBe(price);
    // A refusal for the rate takes nothing.
    expect(taken(expectTooFast(await publish(server.url, batch(100), client)))).toBe(price);
  });

  test('a subscription that is refused costs as many messages as its bytes', async () => {
    const client = await newClient();
    const body = `{"subscription":1}`.padEnd(8 * KIB);
    const request = { method: 'POST', headers: { ...client, ...JSON_TYPE }, body };
    expect((await fetch(`${server.url}/push-subscriptions`, request)).status).toBe(400);
    expect(taken(expectTooFast(await publish(server.url, message, client)))).toBe(3);
  });

  test('a publish on a socket costs the same as with POST, and a refusal for the rate names the publish', async () => {
    for (const [text, price] of [
      ['nonsense', 1],
      [JSON.stringify({ publish: batch(20) }), 20],
      [JSON.stringify({ publish: { recipient: 'bob', content: 'x'.repeat(20 * KIB) } }), 6],
      [`{"publish":[${'1,'.repeat(MIB)}1]}`, 513],
    ] as const) {
      const device = await SocketDevice.open(server.url, '', { headers: await newClient() });
      device.socket.send(text);
      device.socket.send(' { "publish" : {"ref":"b"} , "ref" : "\\u0061\\"" } ');
      const refused = () => device.events.find(({ ref }) => ref === 'a"');
      await until(() => refused() !== undefined);
      expect(refused()).toMatchObject({ event: 'refused', data: { status: 429 } });
      expect(taken((refused()?.retry ?? 0) / 1000)).toBe(price);
      device.cut();
    }
  });
});

describe('MAX_STREAMS_PER_CLIENT', () => {
  const open = async (server: Server, sub: string): Promise<DeviceStream> =>
    DeviceStream.open(server.url, '', { headers: await headersOf(sub) });

  test('MAX_STREAMS_PER_CLIENT counts streams and held polls of one client, and the next is refused in band', async () => {
    const server = await start({ MAX_STREAMS_PER_CLIENT: '3' });
    const headers = await headersOf('al');
    const devices = [await open(server, 'al'), await open(server, 'al')];
    for (const device of devices) await device.waitFor('live');
    const gone = new AbortController();
    const poll = fetch(`${server.url}/messages?wait=60`, { headers, signal: gone.signal });
    poll.catch(() => undefined);
    const presence = async () => {
      const answer = await request(`${server.url}/presence?recipient=al`, { headers });
      return (answer.body as { al: { devices: number } }).al.devices;
    };
    await until(async () => (await presence()) === 3);

    const refused = await open(server, 'al');
    await refused.waitForEnd();
    expect(refused.response.statusCode).toBe(200);
    expect(refused.retries[0]).toBeGreaterThanOrEqual(5000);
    expect(refused.retries[0]).toBeLessThanOrEqual(15_000);
    expect(refused.events).toMatchObject([{ event: 'bye', data: { type: 'bye', reason: 'over-limit' } }]);
    for (const path of ['/stream', '/messages?wait=60']) {
      const answer = await request(`${server.url}${path}`, { headers });
      expectProblem(answer, 503, []);
      expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    }
    // Requests that hold nothing are not counted, and other clients are not affected.
    for (const path of ['/messages', '/messages?before=latest', '/conversations']) {
      expect((await request(`${server.url}${path}`, { headers })).status).toBe(200);
    }
    expect((await publish(server.url, message, await headersOf('bo'))).status).toBe(201);
    await (await open(server, 'bo')).waitFor('live');

    gone.abort();
    await until(async () => (await presence()) === 2);
    const again = await open(server, 'al');
    await again.waitFor('live');
    devices[0]?.cut();
    await until(async () => (await presence()) === 2);
    await (await open(server, 'al')).waitFor('live');
    await server.kill();
  });

  test('MAX_STREAMS_PER_CLIENT is for a client, and not for a token or an inbox', async () => {
    const server = await start({ MAX_STREAMS_PER_CLIENT: '2' });
    for (const read of [['a'], ['b']]) {
      const headers = await headersOf('al', { read });
      await (await DeviceStream.open(server.url, `recipient=${read.join()}`, { headers })).waitFor('live');
    }
    const headers = await headersOf('al', { read: ['c'] });
    const third = await DeviceStream.open(server.url, 'recipient=c', { headers });
    await third.waitFor('bye');
    const other = await headersOf('bo', { read: ['a'] });
    await (await DeviceStream.open(server.url, 'recipient=a', { headers: other })).waitFor('live');
    await server.kill();
  });

  test('MAX_STREAMS_PER_CLIENT does not count in open mode', async () => {
    const server = await Server.start({ env: { MAX_STREAMS_PER_CLIENT: '1' } });
    const devices = await Promise.all([1, 2, 3].map(() => DeviceStream.open(server.url, 'recipient=al')));
    for (const device of devices) await device.waitFor('live');
    await server.kill();
  });

  test('MAX_STREAMS_PER_CLIENT does not count refused and HEAD requests', async () => {
    const server = await start({ MAX_STREAMS_PER_CLIENT: '1' });
    const headers = await headersOf('al');
    for (let count = 0; count < 5; count += 1) {
      expect((await request(`${server.url}/stream`, { method: 'HEAD', headers })).status).toBe(200);
      expect((await request(`${server.url}/stream?recipient=x`, { headers })).status).toBe(403);
      expect((await request(`${server.url}/messages?recipient=x&wait=60`, { headers })).status).toBe(403);
    }
    const device = await open(server, 'al');
    await device.waitFor('live');
    await server.kill();
  });
});

describe('the number of header fields', () => {
  test('a request with more than 100 header fields is 431, whatever their names, and one with 100 is served', async () => {
    const server = await start({});
    const fields = (count: number, name: (index: number) => string) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [name(index), 'x']));
    for (const path of ['/healthz', '/messages', '/stream']) {
      // Host and Connection are two of them.
      const whole = await rawRequest(server.port, { path, headers: fields(98, (index) => `X-${index}`) });
      expect(whole.status).toBe(path === '/healthz' ? 200 : 401);
      for (const count of [99, 500]) {
        const headers = { ...fields(count, (index) => `X-${index}`), ...(await headersOf('al')) };
        expectProblem(await rawRequest(server.port, { path, headers }), 431, []);
      }
      // A field in many cases is as many fields.
      const cased = fields(128, (index) =>
        'abcdefg'.replaceAll(/./g, (letter, bit: number) =>
          index & (1 << bit) ? letter.toUpperCase() : letter,
        ),
      );
      expectProblem(await rawRequest(server.port, { path, headers: cased }), 431, []);
    }
    // An Authorization that stands behind too many is not passed over in silence.
    const last = { ...fields(150, (index) => `X-${index}`), ...(await headersOf('al')) };
    expectProblem(await rawRequest(server.port, { path: '/session', headers: last }), 431, []);
    await server.kill();
  });
});
