import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get, publish, send, type WireMessage } from '../support/api.ts';
import { scrape } from '../support/exposition.ts';
import { expectProblem } from '../support/problems.ts';
import { pullAll } from '../support/pull.ts';
import { exchange, type RawAnswer } from '../support/raw.ts';
import { handshakeBytes } from '../support/raw-socket.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { bearer, cookie, SECRET, secondsFromNow, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const PARTNER = 'https://partner.example';

/** Asks for a socket that is to be refused. */
const shake = (server: Server, path: string, headers: Record<string, string> = {}): Promise<RawAnswer> =>
  exchange(server.port, (socket) => socket.write(handshakeBytes(path, headers)));

describe('a socket of a service with a key', () => {
  let server: Server;
  let token: string;
  beforeAll(async () => {
    server = await Server.start({ env: { AUTH_SECRET: SECRET, CORS_ORIGINS: PARTNER, PUBLISH_RATE: '0' } });
    token = await tokenFor('alice', { sendTo: ['*'], metrics: true });
  });
  afterAll(cleanUp);

  const openWith = (headers: Record<string, string>, query = ''): Promise<SocketDevice> =>
    SocketDevice.open(server.url, query, { headers });

  test('a socket opens with a bearer token from any Origin, because no page can send that header', async () => {
    for (const headers of [{}, { Origin: 'https://evil.example' }]) {
      const device = await openWith({ ...bearer(token), ...headers });
      expect((await device.waitFor('ready')).data).toHaveProperty('expiresAt');
      device.cut();
    }
  });

  test('a socket opens with the session of its own page, or of a page in CORS_ORIGINS', async () => {
    for (const origin of [server.url, PARTNER]) {
      const device = await openWith({ ...cookie(token), Origin: origin });
      await device.waitFor('live');
      expect((await device.publish({ recipient: 'bob', content: 1 }, 'r')).data).toMatchObject({
        sender: 'alice',
      });
      device.cut();
    }
  });

  // Cross-site WebSocket hijacking: the browser sends the cookie, and no CORS keeps the page from the answer.
  test.each([
    'https://evil.example',
    'http://127.0.0.1.evil.example',
    'http://127.0.0.1:1',
    'https://partner.example.evil.example',
    'http://partner.example',
    'null',
    'file://',
    'chrome-extension://127.0.0.1',
    '',
  ])('a socket does not open with a session for a page of %j', async (origin) => {
    const answer = await shake(server, '/ws', { ...cookie(token), Origin: origin });
    expectProblem(answer, 403, []);
    expect(answer.head).not.toMatch(/^(access-control-allow-origin|sec-websocket-accept):/im);
    expect((await get(server.url, '/healthz')).status).toBe(200);
  });

  test('a socket does not open with a session if there is no Origin', async () => {
    expectProblem(await shake(server, '/ws', cookie(token)), 403, []);
  });

  test('a socket tells another site nothing about a session, be it good or expired', async () => {
    const over = await tokenFor('alice', {}, { exp: secondsFromNow(-1) });
    const headers = { Origin: 'https://evil.example' };
    const [good, bad] = [
      await shake(server, '/ws', { ...headers, ...cookie(token) }),
      await shake(server, '/ws', { ...headers, ...cookie(over) }),
    ];
    expect(bad.status).toBe(403);
    expect(bad.body).toEqual(good.body);
  });

  test('a socket without a good token is refused with a challenge', async () => {
    const over = await tokenFor('alice', {}, { exp: secondsFromNow(-1) });
    for (const headers of [{}, bearer('x'), bearer(over), { ...bearer(over), Origin: server.url }]) {
      const answer = await shake(server, '/ws', headers);
      expectProblem(answer, 401, []);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer /);
    }
  });

  test.each(['token', 'access_token', 'auth', 'x'])(
    'a socket with a token in the URL is refused, whichever name it has: %s',
    async (name) => {
      expectProblem(await shake(server, `/ws?${name}=${token}`, bearer(token)), 400);
    },
  );

  test('a page whose session has expired is told so in band on its socket; a client without an Origin gets 403', async () => {
    const over = cookie(await tokenFor('alice', {}, { exp: secondsFromNow(-1) }));
    const labels = { reason: 'unauthenticated', status: '101' };
    const refused = async (): Promise<number> =>
      (await scrape(server.url, bearer(token))).value('tidings_requests_refused_total', labels);
    const before = await refused();
    const page = await openWith({ ...over, Origin: server.url });
    await page.waitForEnd();
    expect(page.events).toMatchObject([{ event: 'bye', data: { type: 'bye', reason: 'token-expired' } }]);
    expect(page.events[0]?.retry).toBeGreaterThanOrEqual(5000);
    expect(page.close).toEqual({ code: 3000, reason: 'token-expired' });
    expect(await refused()).toBe(before + 1);
    expectProblem(await shake(server, '/ws', over), 403, []);
  });

  test('a client that goes while the token of its socket is checked is no error', async () => {
    const over = cookie(await tokenFor('alice', {}, { exp: secondsFromNow(-1) }));
    for (const headers of [bearer(token), { ...over, Origin: server.url }]) {
      for (let count = 0; count < 100; count++) {
        const socket = connect(server.port, '127.0.0.1');
        await once(socket, 'connect');
        socket.write(handshakeBytes('/ws', headers), () => socket.resetAndDestroy());
        await once(socket, 'close');
      }
    }
    expect((await get(server.url, '/healthz')).status).toBe(200);
    expect(server.stderr).not.toMatch(/"level":[56]0/);
  });

  test('a socket ends with its token, with bye and 3000, and nothing that is sent later is stored', async () => {
    const exp = secondsFromNow(7);
    const device = await openWith(bearer(await tokenFor('carl', { sendTo: ['*'] }, { exp })));
    await device.waitFor('live');
    const saidAt: number[] = [];
    // Long after the end nothing is written: a connection that is gone by then fails, and what came on it is not read.
    const isTime = (): boolean => Date.now() < exp * 1000 + 500;
    const pump = setInterval(() => {
      for (let more = 0; more < 10 && isTime() && device.socket.readyState === device.socket.OPEN; more++) {
        const content = saidAt.push(Date.now()) - 1;
        device.say({ publish: { recipient: 'late', content }, ref: String(content) });
      }
    }, 1);
    await device.waitForEnd();
    clearInterval(pump);
    expect(device.events.at(-1)).toMatchObject({ event: 'bye', data: { reason: 'token-expired' } });
    expect(device.close).toEqual({ code: 3000, reason: 'token-expired' });
    const headers = bearer(await tokenFor('reader', { read: ['late'] }));
    const path = '/messages?recipient=late&before=latest&limit=1000';
    const response = await fetch(`${server.url}${path}`, { headers });
    const { messages } = (await response.json()) as { messages: WireMessage[] };
    expect(messages.length).toBeGreaterThan(10);
    for (const { content } of messages) expect(saidAt[content as number]).toBeLessThan(exp * 1000);
    // Each that was stored was answered, before the bye.
    const published = device.events.filter(({ event }) => event === 'published');
    expect(published.map(({ data }) => (data as WireMessage).id).slice(-1000)).toEqual(
      messages.map(({ id }) => id),
    );
  });
});

describe('a socket of a service without a key', () => {
  let server: Server;
  beforeAll(async () => {
    server = await Server.start();
  });
  afterAll(cleanUp);

  test.each([undefined, 'http://localhost', 'http://127.0.0.1:5173', 'http://[::1]:3000'])(
    'a socket without a key opens from this machine, with the Origin %s',
    async (origin) => {
      const device = await SocketDevice.open(server.url, 'recipient=bob', {
        headers: origin === undefined ? {} : { Origin: origin },
      });
      await device.waitFor('live');
      device.cut();
    },
  );

  test.each<[string, Record<string, string>]>([
    ['another site', { Origin: 'https://evil.example' }],
    ['a page without an origin', { Origin: 'null' }],
    ['a name that is made to point here', { Host: 'rebind.example' }],
    [
      'another site, by what the browser says',
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'websocket' },
    ],
    [
      'a link',
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' },
    ],
    ['a tunnel', { 'X-Forwarded-For': '1.2.3.4' }],
  ])('a socket without a key does not open for %s', async (_what, headers) => {
    const answer = await shake(server, '/ws?recipient=victim', headers);
    expectProblem(answer, 403, []);
    expect(answer.text).toContain('AUTH_SECRET');
    const presence = (await get(server.url, '/presence?recipient=victim')).body as unknown;
    expect(presence).toEqual({ victim: { online: false, devices: 0, lastSeen: null } });
  });

  test('sockets count as streams: one too many is told so in band for a page, and by 503 for a program', async () => {
    const full = await Server.start({ env: { MAX_STREAMS: '1', LOG_LEVEL: 'debug' } });
    const first = await SocketDevice.open(full.url, 'recipient=bob');
    await first.waitFor('live');
    await send(full.url, 'bob', 1);
    const page = await SocketDevice.open(full.url, 'recipient=bob', { headers: { Origin: full.url } });
    await page.waitForEnd();
    const bye = { event: 'bye', id: expect.stringMatching(/^1-/), data: { reason: 'over-limit' } };
    expect(page.events).toMatchObject([bye]);
    expect(page.close).toEqual({ code: 1013, reason: 'over-limit' });
    const refused = await SocketDevice.refused(full.url, 'recipient=bob');
    expectProblem(refused, 503, []);
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    const metrics = await scrape(full.url);
    for (const status of ['101', '503']) {
      expect(metrics.value('tidings_requests_refused_total', { reason: 'unavailable', status })).toBe(1);
    }
    for (const status of [101, 503]) {
      const line = new RegExp(`"path":"/ws".*"status":${status}`);
      await until(() => line.test(full.stderr), `a line for ${status}`);
    }
    expect(full.stderr).not.toContain('given up');
    await publish(full.url, { recipient: 'bob', content: 2 });
    await until(() => first.messages.length === 2);
    expect(await pullAll(full.url, 'bob')).toEqual(first.messages);
    first.cut();
    await full.kill();
  });
});
