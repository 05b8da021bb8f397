import { afterEach, describe, expect, test } from '@jest/globals';
import { get, publish, request } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { bearer, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

type Line = Readonly<Record<string, unknown>>;

const DEBUG = 20;
const ERROR = 50;

/** The lines of the log that are about requests. */
function linesOf(server: Server): Line[] {
  return server.stderr
    .split('\n')
    .slice(0, -1)
    .map((text) => JSON.parse(text) as Line)
    .filter((line) => 'requestId' in line);
}

/** Waits for the line of a request; there is to be one only. */
async function lineOf(server: Server, requestId: string, message: RegExp): Promise<Line> {
  const find = (): Line[] =>
    linesOf(server).filter((line) => line['requestId'] === requestId && message.test(String(line['msg'])));
  await until(() => find().length > 0, `a line of ${requestId}`);
  expect(find()).toHaveLength(1);
  return find()[0] as Line;
}

const withId = (id: string, headers: Record<string, string> = {}): RequestInit => ({
  headers: { 'X-Request-Id': id, ...headers },
});

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe('the id of a request', () => {
  test.each(['a', 'trace-1.2_3', 'x'.repeat(64)])('a refusal repeats the X-Request-Id %s', async (id) => {
    const server = await Server.start();
    for (const path of ['/nothing', '/messages?recipient=a&bad=1', '/stream', '/messages/1']) {
      const answer = await request(server.url + path, withId(id));
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.headers.get('x-request-id')).toBe(id);
    }
    expect((await request(`${server.url}/healthz`, withId(id))).headers.has('x-request-id')).toBe(false);
  });

  test.each([
    ['too long', 'x'.repeat(65)],
    ['with a space', 'a b'],
    ['not a word', '{"a":1}'],
    ['empty', ''],
    ['given twice', 'a, b'],
  ])('a refusal carries a new id if the X-Request-Id is %s', async (_what, id) => {
    const server = await Server.start();
    const ids = [];
    for (let count = 0; count < 2; count++) {
      const answer = await request(`${server.url}/nothing`, withId(id));
      ids.push(answer.headers.get('x-request-id'));
    }
    for (const made of ids) expect(made).toMatch(UUID);
    expect(ids[0]).not.toBe(ids[1]);
  });
});

describe('at level debug', () => {
  const start = (env: Record<string, string> = {}): Promise<Server> =>
    Server.start({ env: { LOG_LEVEL: 'debug', ...env } });

  test('at level debug each finished request is logged in one line', async () => {
    const server = await start();
    await publish(server.url, { recipient: 'bob', content: 'hi' }, { 'X-Request-Id': 'publish' });
    await request(`${server.url}/messages?recipient=bob&limit=5`, withId('pull'));
    await request(`${server.url}/nothing?a=b`, withId('nothing'));
    await request(`${server.url}/stream?recipient=bob`, { method: 'HEAD', ...withId('head') });
    await get(server.url, '/healthz');
    const line = { level: DEBUG, method: 'GET', client: '127.0.0.1' };
    expect(await lineOf(server, 'publish', /answered/)).toMatchObject({
      ...line,
      method: 'POST',
      path: '/messages',
      status: 201,
      milliseconds: expect.any(Number),
    });
    expect(await lineOf(server, 'pull', /answered/)).toMatchObject({
      ...line,
      path: '/messages',
      status: 200,
    });
    expect(await lineOf(server, 'nothing', /answered/)).toMatchObject({
      ...line,
      path: '/nothing',
      status: 404,
    });
    expect(await lineOf(server, 'head', /answered/)).toMatchObject({
      ...line,
      method: 'HEAD',
      path: '/stream',
      status: 200,
    });
    await until(() => linesOf(server).length === 5);
    expect(linesOf(server).find(({ path }) => path === '/healthz')).toMatchObject({
      requestId: expect.stringMatching(UUID),
    });
  });

  test('at level debug each stream is logged when it opens, and when it closes: how long, why, how many messages', async () => {
    const server = await start();
    const device = await DeviceStream.open(server.url, 'recipient=bob', {
      headers: { 'X-Request-Id': 'cut' },
    });
    await device.waitFor('live');
    expect(await lineOf(server, 'cut', /opened/)).toMatchObject({
      level: DEBUG,
      path: '/stream',
      client: '127.0.0.1',
    });
    for (const content of [1, 2]) await publish(server.url, { recipient: 'bob', content });
    await publish(server.url, { recipient: 'bob', content: 3, ephemeral: true });
    await device.waitForMessages(3);
    device.cut();
    expect(await lineOf(server, 'cut', /closed/)).toMatchObject({
      level: DEBUG,
      path: '/stream',
      client: '127.0.0.1',
      reason: 'client',
      messages: 3,
      milliseconds: expect.any(Number),
    });

    const last = await DeviceStream.open(server.url, 'recipient=bob&lastEventId=0', {
      headers: { 'X-Request-Id': 'ended' },
    });
    await last.waitFor('live');
    await server.stop();
    expect(await lineOf(server, 'ended', /closed/)).toMatchObject({ reason: 'shutdown', messages: 2 });
    // A stream has no line of an answer beside these.
    expect(linesOf(server).filter(({ path }) => path === '/stream')).toHaveLength(4);
  });

  test('at level debug a request that its client gives up is logged as such', async () => {
    const server = await start();
    const gone = new AbortController();
    const poll = fetch(`${server.url}/messages?recipient=bob&wait=60`, {
      signal: gone.signal,
      ...withId('given-up'),
    });
    await until(async () =>
      JSON.stringify((await get(server.url, '/presence?recipient=bob')).body).includes('"devices":1'),
    );
    gone.abort();
    await expect(poll).rejects.toThrow();
    expect(await lineOf(server, 'given-up', /given up/)).toMatchObject({ level: DEBUG, path: '/messages' });
  });

  test('at level debug the address of a client is the one that trusted proxies report, for streams too', async () => {
    const server = await start({ TRUST_PROXY: 'loopback', AUTH_SECRET: SECRET });
    const forwarded = { 'X-Forwarded-For': '198.51.100.7, 203.0.113.9', ...bearer(await tokenFor('bob')) };
    await request(`${server.url}/healthz`, withId('trusted', forwarded));
    const device = await DeviceStream.open(server.url, 'recipient=bob', {
      headers: { 'X-Request-Id': 'stream', ...forwarded },
    });
    device.cut();
    expect(await lineOf(server, 'trusted', /answered/)).toMatchObject({ client: '203.0.113.9' });
    expect(await lineOf(server, 'stream', /closed/)).toMatchObject({ client: '203.0.113.9' });
  });

  test('at level debug no content, query, header or cookie is logged', async () => {
    const server = await start();
    const headers = {
      'X-Request-Id': 'tell me SECRET',
      Authorization: 'Bearer SECRET',
      Cookie: 'tidings=SECRET',
      'Idempotency-Key': 'SECRET',
      'User-Agent': 'SECRET',
      Referer: 'http://SECRET/',
      'Last-Event-ID': 'SECRET',
    };
    await publish(server.url, { recipient: 'SECRET', sender: 'SECRET', content: 'SECRET' }, headers);
    await publish(server.url, { recipient: 'SECRET', content: 'SECRET', SECRET: 1 }, headers);
    await request(`${server.url}/messages?recipient=SECRET&SECRET=SECRET`, { headers });
    await request(`${server.url}/messages`, { method: 'POST', headers, body: '{"SECRET' });
    const device = await DeviceStream.open(server.url, 'recipient=SECRET&presence=SECRET', { headers });
    await device.waitFor('live');
    device.cut();
    await until(() => linesOf(server).length >= 6);
    expect((await server.stop()).stderr).not.toContain('SECRET');
  });
});

test('no token and no secret is logged, wherever it was and however it was answered', async () => {
  const server = await Server.start({ env: { LOG_LEVEL: 'trace', AUTH_SECRET: SECRET } });
  const token = await tokenFor('bob', { sendTo: ['bob'] });
  const over = await tokenFor('bob', {}, { exp: 1 });
  for (const one of [token, over, `${token}x`]) {
    const places: Record<string, string>[] = [
      bearer(one),
      { Cookie: `tidings=${one}`, Origin: server.url },
      { Authorization: one },
    ];
    for (const headers of places) {
      await publish(server.url, { recipient: 'bob', content: one }, headers);
      await request(`${server.url}/session`, { method: 'PUT', headers });
      await request(`${server.url}/messages/1`, { headers });
    }
    await request(`${server.url}/messages?recipient=${one}&access_token=${one}`);
    await request(`${server.url}/${one}`);
  }
  await until(() => linesOf(server).length === 33, 'a line of each request');
  const { stdout, stderr } = await server.stop();
  for (const secret of [token, over, token.slice(-20), SECRET]) expect(stdout + stderr).not.toContain(secret);
});

describe('at level info', () => {
  test('at level info a request that was served or refused is not logged', async () => {
    const server = await Server.start();
    await publish(server.url, { recipient: 'bob', content: 'hi' });
    const device = await DeviceStream.open(server.url, 'recipient=bob&lastEventId=0');
    await device.waitForMessages(1);
    device.cut();
    expectProblem(await get(server.url, '/nothing'), 404);
    const { stderr } = await server.stop();
    expect(stderr).not.toContain('requestId');
  });

  test('503s are logged as errors with their ids: ten at once, and then one a second with the number of the others', async () => {
    const server = await Server.start({ env: { MAX_STREAMS: '1' } });
    const device = await DeviceStream.open(server.url, 'recipient=bob');
    await device.waitFor('live');
    const refused = 100;
    for (let count = 0; count < refused; count++) {
      const answer = await request(`${server.url}/stream?recipient=bob`, withId(`stream-${count}`));
      expectProblem(answer, 503);
      expect(answer.headers.get('x-request-id')).toBe(`stream-${count}`);
    }
    const told = (): number =>
      linesOf(server).reduce((sum, { unlogged }) => sum + 1 + ((unlogged ?? 0) as number), 0);
    await until(() => told() === refused, 'the log to tell of each of them');
    expect(linesOf(server).length).toBeLessThan(refused / 2);
    expect(linesOf(server)[0]).toMatchObject({
      level: ERROR,
      requestId: 'stream-0',
      method: 'GET',
      path: '/stream',
      status: 503,
      client: '127.0.0.1',
    });
    expect(linesOf(server).at(-1)).toMatchObject({ requestId: `stream-${refused - 1}` });
    device.cut();
  });
});
