import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Answer, request } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { rawRequest } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';
import { bearer, cookie, type Grants, SECRET, secondsFromNow, tokenFor } from '../support/tokens.ts';
import { words } from '../support/words.ts';

const PARTNER = 'https://partner.example';
let server: Server;
let token: string;
beforeAll(async () => {
  server = await Server.start({ env: { AUTH_SECRET: SECRET, CORS_ORIGINS: PARTNER } });
  token = await tokenFor('alice', { sendTo: ['*'] });
});
afterAll(cleanUp);

/** A cookie's value, and its attributes by their names in lower case. */
function setCookie(answer: Answer, name = 'tidings'): { value: string; attributes: Record<string, string> } {
  const [cookie = ''] = answer.headers.getSetCookie();
  const [first = '', ...rest] = cookie.split('; ');
  const attributes = rest.map((one): [string, string] => {
    const [name = '', value = ''] = one.split('=');
    return [name.toLowerCase(), value];
  });
  expect(first.split('=')[0]).toBe(name);
  return { value: first.slice(name.length + 1), attributes: Object.fromEntries(attributes) };
}

/** The cookies that are removed beside the first: `NAME at PATH`. */
function removedBy(answer: Answer): string[] {
  return answer.headers
    .getSetCookie()
    .slice(1)
    .map((line) => {
      const [, name, path, expires] = /^([^=]+)=; Path=([^;]+); Expires=([^;]+)/.exec(line) ?? [];
      expect(Date.parse(expires ?? '')).toBe(0);
      return `${name} at ${path}`;
    });
}

/** `/a/`, `/` of `/a/b/`. */
const parentsOf = (path: string): string[] =>
  path === '/' ? [] : [path.replace(/[^/]+\/$/, ''), ...parentsOf(path.replace(/[^/]+\/$/, ''))];

const session = (method: string, headers: Record<string, string>, where = server) =>
  rawRequest(where.port, {
    method,
    path: '/session',
    headers: { Host: `127.0.0.1:${where.port}`, ...headers },
  });

describe('PUT /session', () => {
  test('PUT /session sets a cookie that no script reads and no other site sends, and that outlives its token', async () => {
    const answer = await session('PUT', bearer(token));
    expect(answer.status).toBe(200);
    const { sub, expiresAt } = answer.body as { sub: string; expiresAt: string };
    expect(sub).toBe('alice');
    const { value, attributes } = setCookie(answer);
    expect(value).toBe(token);
    expect(attributes).toMatchObject({ httponly: '', samesite: 'Strict', path: '/' });
    expect(attributes).not.toHaveProperty('secure');
    expect(attributes).not.toHaveProperty('domain');
    const until = Date.parse(attributes['expires'] ?? '');
    expect(until).toBeGreaterThanOrEqual(Date.parse(expiresAt) - 1000);
    expect(answer.headers.get('cache-control')).toMatch(/no-store/);
  });

  test.each<[string, string | undefined, string, string, boolean]>([
    ['localhost', undefined, 'localhost:7070', '/', false],
    ['a loopback address', undefined, '127.0.0.1', '/', false],
    ['IPv6 loopback', undefined, '[::1]:7070', '/', false],
    ['another host', undefined, 'chat.example', '/', true],
    ['a name that begins like it', undefined, 'localhost.evil.example', '/', true],
    ['an address that ends like it', undefined, '127.0.0.1.evil.example:80', '/', true],
    ['PUBLIC_URL of https', 'https://chat.example', '127.0.0.1:7070', '/', true],
    ['PUBLIC_URL with a base path', 'https://chat.example/push', '127.0.0.1:7070', '/push/', true],
    ['PUBLIC_URL with a base path and a slash', 'https://chat.example/a/b/', 'x.example', '/a/b/', true],
    ['PUBLIC_URL of loopback with https', 'https://localhost:8443', 'localhost:8443', '/', true],
    ['PUBLIC_URL of loopback', 'http://localhost:8080/push', 'x.example', '/push/', false],
  ])(
    'the session cookie behind %s has the right name, path and Secure',
    async (_what, publicUrl, host, path, secure) => {
      const env = { AUTH_SECRET: SECRET, ...(publicUrl === undefined ? {} : { PUBLIC_URL: publicUrl }) };
      const other = publicUrl === undefined ? server : await Server.start({ env });
      for (const [method, status] of Object.entries({ PUT: 200, DELETE: 204 })) {
        const answer = await session(method, { ...bearer(token), Host: host }, other);
        expect(answer.status).toBe(status);
        const name = !secure ? 'tidings' : path === '/' ? '__Host-tidings' : '__Secure-tidings';
        const { attributes } = setCookie(answer, name);
        expect(attributes).toMatchObject({ path, httponly: '', samesite: 'Strict' });
        expect('secure' in attributes).toBe(secure);
        expect(removedBy(answer)).toEqual(parentsOf(path).map((parent) => `${name} at ${parent}`));
      }
      if (other !== server) await other.kill();
    },
  );

  test('PUT /session refuses a token that is too long for a cookie', async () => {
    const grants = (count: number) => ({
      sendTo: Array.from({ length: count }, (_, index) => `address-${index}`),
    });
    const fits = await tokenFor('alice', grants(100));
    expect(fits.length).toBeLessThan(3000);
    expect((await session('PUT', bearer(fits))).status).toBe(200);
    const long = await tokenFor('alice', grants(400));
    expect(long.length).toBeGreaterThan(4096);
    const answer = await session('PUT', bearer(long));
    expectProblem(answer, 400);
    expect(answer.headers.getSetCookie()).toEqual([]);
    // As a bearer token it is as good as any.
    expect((await session('GET', bearer(long))).status).toBe(200);
  });

  test('PUT /session needs a bearer token, and accepts neither a cookie nor nothing', async () => {
    for (const headers of [{}, cookie(token), { ...cookie(token), Origin: server.url }]) {
      const answer = await session('PUT', headers);
      expect([401, 403]).toContain(answer.status);
      expectProblem(answer, answer.status);
      expect(answer.headers.getSetCookie()).toEqual([]);
    }
    for (const bad of [await tokenFor('alice', {}, { exp: secondsFromNow(-5) }), 'x']) {
      const answer = await session('PUT', bearer(bad));
      expectProblem(answer, 401);
      expect(answer.headers.getSetCookie()).toEqual([]);
    }
  });
});

test.each(['GET', 'PUT'])('%s /session answers who the client is, and what it may do', async (method) => {
  const of = async (grants?: Grants): Promise<unknown> => {
    const answer = await session(method, bearer(await tokenFor('alice', grants)));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ sub: 'alice', expiresAt: expect.stringMatching(/^\d{4}-.*Z$/) });
    return (answer.body as { grants: unknown }).grants;
  };
  const own = ['alice'];
  const none = { sendAs: own, sendTo: [], read: own, presence: own, rate: 100, metrics: false };
  expect(await of()).toEqual(none);
  expect(await of({})).toEqual(none);
  const read = ['room-*', 'alice', 'alice'];
  expect(await of({ read })).toEqual({
    ...none,
    read: ['alice', 'room-*'],
    presence: ['alice', 'room-*'],
  });
  const all = {
    sendAs: ['*'],
    sendTo: ['bob'],
    read: ['*'],
    presence: [],
    rate: 0.5,
    metrics: true as const,
  };
  expect(await of(all)).toEqual(all);
});

test('GET /session answers who the client is, by header and by cookie', async () => {
  for (const headers of [bearer(token), cookie(token)]) {
    const answer = await session('GET', headers);
    expect(answer.body).toMatchObject({ sub: 'alice', grants: { sendTo: ['*'] } });
    expect(answer.headers.getSetCookie()).toEqual([]);
  }
});

test('DELETE /session also works for a client with two sessions', async () => {
  const headers = { Cookie: `tidings=${await tokenFor('alice')}; tidings=x`, Origin: server.url };
  expect((await session('DELETE', headers)).status).toBe(204);
});

test('DELETE /session removes the cookie, whether it is good, expired, or absent', async () => {
  const old = await tokenFor('alice', {}, { exp: secondsFromNow(-60) });
  for (const headers of [cookie(token), cookie(old), cookie('x'), {}]) {
    const answer = await session('DELETE', { ...headers, Origin: server.url });
    expect([answer.status, answer.text]).toEqual([204, '']);
    const { value, attributes } = setCookie(answer);
    expect([value, Date.parse(attributes['expires'] ?? '') < Date.now()]).toEqual(['', true]);
  }
});

test('PUT /session with the bearer token of another client changes whose session it is', async () => {
  const other = await tokenFor('bob');
  const answer = await session('PUT', { ...bearer(other), ...cookie(token), Origin: server.url });
  expect(setCookie(answer).value).toBe(other);
});

describe('a request that changes something with the cookie', () => {
  const port = () => server.port;
  const host = () => `127.0.0.1:${port()}`;
  test.each<[string, () => string | undefined, boolean]>([
    ['no Origin', () => undefined, false],
    ['an empty Origin', () => '', false],
    ['the own Origin', () => `http://${host()}`, true],
    ['an Origin of CORS_ORIGINS', () => PARTNER, true],
    ['an Origin that begins like one of CORS_ORIGINS', () => `${PARTNER}.evil.example`, false],
    ['one of CORS_ORIGINS with a slash', () => `${PARTNER}/`, false],
    ['one of CORS_ORIGINS with another scheme', () => PARTNER.replace('https', 'http'), false],
    ['one of CORS_ORIGINS with a port', () => `${PARTNER}:8443`, false],
    ['a subdomain of one of CORS_ORIGINS', () => 'https://a.partner.example', false],
    ['the Origin null', () => 'null', false],
    ['another Origin', () => 'https://evil.example', false],
    ['the own host and another port', () => `http://127.0.0.1:${port() + 1}`, false],
    ['the own host without its port', () => 'http://127.0.0.1', false],
    ['another name of loopback', () => `http://localhost:${port()}`, false],
    ['a subdomain', () => `http://a.${host()}`, false],
    ['a host that ends like it', () => `http://evil-${host()}`, false],
    ['a host that begins like it', () => `http://127.0.0.1.evil.example:${port()}`, false],
    ['a page of an extension', () => `chrome-extension://${host()}`, false],
    ['a file', () => 'file://', false],
    ['a list with the own', () => `https://evil.example http://${host()}`, false],
    ['a list with the own first', () => `http://${host()}, https://evil.example`, false],
    ['*', () => '*', false],
  ])('a write with the session cookie needs a trusted Origin: %s', async (_what, origin, allowed) => {
    const value = origin();
    const headers = {
      Host: host(),
      ...cookie(token),
      ...(value === undefined ? {} : { Origin: value }),
      // Cookies that a page of another site can set have no effect.
      Referer: `http://${host()}/`,
      'X-Requested-With': 'XMLHttpRequest',
    };
    const json = { ...headers, 'Content-Type': 'application/json' };
    const body = JSON.stringify({ recipient: 'bob', content: 1 });
    const wrote = await rawRequest(port(), { method: 'POST', path: '/messages', headers: json, body });
    const form = { ...headers, 'Content-Type': 'application/x-www-form-urlencoded' };
    const post = { method: 'POST', path: '/messages', headers: form, body: 'recipient=bob&content=1' };
    const wroteForm = await rawRequest(port(), post);
    const ended = await rawRequest(port(), { method: 'DELETE', path: '/session', headers });
    const statuses = allowed ? [201, 201, 204] : [403, 403, 403];
    expect([wrote.status, wroteForm.status, ended.status]).toEqual(statuses);
    if (!allowed) expectProblem(wrote, 403, []);
    // Reading changes nothing.
    expect((await rawRequest(port(), { path: '/messages', headers })).status).toBe(200);
  });

  test('a write with a bearer token needs no Origin, and may come from any page', async () => {
    for (const more of [{}, { Origin: 'https://evil.example' }, { Origin: 'null' }]) {
      const headers = { ...bearer(token), ...cookie(token), ...more, 'Content-Type': 'application/json' };
      const body = JSON.stringify({ recipient: 'bob', content: 1 });
      expect((await rawRequest(port(), { method: 'POST', path: '/messages', headers, body })).status).toBe(
        201,
      );
    }
  });

  test('with PUBLIC_URL, a write with the session cookie needs that Origin, whatever the Host is', async () => {
    const env = { AUTH_SECRET: SECRET, PUBLIC_URL: 'https://chat.example/push' };
    const other = await Server.start({ env });
    const write = (origin: string, from: string) =>
      session('DELETE', { Cookie: `__Secure-tidings=${token}`, Origin: origin, Host: from }, other);
    expect((await write('https://chat.example', '127.0.0.1:7070')).status).toBe(204);
    const others = words(`
      http://chat.example https://chat.example:8443 https://a.chat.example http://127.0.0.1:7070
      https://chat.example.evil.example
    `);
    for (const origin of others) {
      expectProblem(await write(origin, '127.0.0.1:7070'), 403, []);
    }
    // A Host that a page made up does not make it the own site.
    expectProblem(await write('https://evil.example', 'evil.example'), 403, []);
    await other.kill();
  });
});

test('a service without a key has no sessions', async () => {
  const open = await Server.start();
  for (const method of ['PUT', 'DELETE']) expectProblem(await session(method, bearer(token), open), 404, []);
  await open.kill();
  expect((await request(`${server.url}/session`, { headers: bearer(token) })).status).toBe(200);
});
