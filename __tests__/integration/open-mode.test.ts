import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { publish } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { exchange, type RawAnswer, rawRequest } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';
import { words } from '../support/words.ts';

let server: Server;
beforeAll(async () => {
  server = await Server.start();
  await publish(server.url, { recipient: 'bob', content: 'private' });
});
afterAll(cleanUp);

/** Paths that answer at once, of reads and of the page itself. */
const PATHS = ['/messages?recipient=bob', '/messages/1', '/presence?recipient=bob', '/', '/healthz'];

/** Asserts that nothing is told but which variable lets others in. */
function expectClosed(answer: RawAnswer): void {
  expectProblem(answer, 403, []);
  expect(answer.text).toContain('AUTH_SECRET');
  expect(answer.text).not.toContain('private');
  expect(answer.head).not.toMatch(/^access-control-/im);
}

type Headers = Record<string, string>;
const poll = (headers: Headers) => rawRequest(server.port, { path: '/messages?recipient=bob', headers });
const stream = (headers: Headers) =>
  rawRequest(server.port, {
    path: '/stream?recipient=bob&last=1',
    headers: { ...headers, Accept: 'text/event-stream' },
  });
const post = (headers: Headers) =>
  rawRequest(server.port, {
    method: 'POST',
    path: '/messages',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: '{"recipient":"bob","content":"written"}',
  });

describe('without a key', () => {
  test.each(['localhost', 'LocalHost', '127.0.0.1', '127.1.2.3', '127.255.255.254', '[::1]'])(
    'without a key, requests for the Host %s are served, with a port and without',
    async (host) => {
      for (const port of ['', `:${server.port}`, ':7070', ':80']) {
        const headers = { Host: `${host}${port}` };
        expect((await poll(headers)).status).toBe(200);
        expect((await post(headers)).status).toBe(201);
      }
    },
  );

  test.each([
    ...words(`
      evil.example localhost.evil.com 127.0.0.1.evil.com 127.0.0.1.nip.io evil-localhost xlocalhost localhostx
      sub.localhost.evil.com localhost. 127.0.0.1. 0.0.0.0 [::] 0 127.1 2130706433 0x7f000001 0x7f.0.0.1 017700000001
      0177.0.0.1 127.0.0.01.evil.com [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:0:0:1].evil.com 128.0.0.1 10.0.0.1
      192.168.1.1 169.254.169.254 [fe80::1] ::1 user@localhost@evil.com localhost@evil.com evil.com@evil.com
      localhost:80@evil.com localhost#evil.com localhost/evil.com localhost,evil.com localhost%00.evil.com
      localhost:80.evil.com localhost:80:80 localhost:x host.docker.internal l\u00f6calhost
    `),
    'localhost evil.com',
    '',
  ])('without a key, requests for the Host %j are refused', async (host) => {
    for (const suffix of ['', ...(/[:@#/, ]/.test(host) ? [] : [`:${server.port}`])]) {
      for (const path of PATHS) {
        const answer = await rawRequest(server.port, { path, headers: { Host: `${host}${suffix}` } });
        expect([path, suffix, [400, 403].includes(answer.status)]).toEqual([path, suffix, true]);
        if (answer.status === 403) expectClosed(answer);
      }
      expect([400, 403]).toContain((await post({ Host: `${host}${suffix}` })).status);
      expect([400, 403]).toContain((await stream({ Host: `${host}${suffix}` })).status);
    }
  });

  test.each(
    words(`
      http://localhost http://localhost:3000 https://localhost:8443 http://127.0.0.1:5173 http://127.9.9.9
      http://[::1]:8080
    `),
  )('without a key, a page of %s may read and publish', async (origin) => {
    const answer = await poll({ Origin: origin });
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, origin]);
    expect((await post({ Origin: origin })).status).toBe(201);
    const headers = {
      Origin: origin,
      'Access-Control-Request-Method': 'POST',
      'Access-Control-Request-Headers': 'content-type',
    };
    const preflight = await rawRequest(server.port, { method: 'OPTIONS', path: '/messages', headers });
    expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([204, origin]);
  });

  test.each([
    ...words(`
      https://evil.example http://localhost.evil.com http://127.0.0.1.evil.com http://localhost@evil.com
      http://localhost:80@evil.com http://localhost. http://0.0.0.0 http://[::] http://[::ffff:127.0.0.1]
      http://192.168.1.1 null file:// file://localhost chrome-extension://localhost capacitor://localhost
      ftp://localhost localhost http:// * http://evil.com#http://localhost http://evil.com\\.localhost data:text/html,x
      about:blank
    `),
    'http://evil.com http://localhost',
    'http://localhost, http://evil.com',
    '',
  ])('without a key, a page of %j may neither read nor publish', async (origin) => {
    for (const path of PATHS)
      expectClosed(await rawRequest(server.port, { path, headers: { Origin: origin } }));
    expectClosed(await post({ Origin: origin }));
    expectClosed(await stream({ Origin: origin }));
    const headers = { Origin: origin, 'Access-Control-Request-Method': 'POST' };
    expectClosed(await rawRequest(server.port, { method: 'OPTIONS', path: '/messages', headers }));
  });

  test.each<[string, string]>([
    ['Forwarded', 'for=1.2.3.4'],
    ['Via', '1.1 proxy'],
    ['X-Forwarded-For', '127.0.0.1'],
    ['X-Forwarded-For', ''],
    ['X-Forwarded-Host', 'localhost'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Port', '443'],
    ['X-Forwarded-Server', 'x'],
    ['X-Forwarded-Scheme', 'https'],
    ['X-Forwarded-Ssl', 'on'],
    ['X-Forwarded-Prefix', '/x'],
    ['X-Forwarded-By', 'x'],
    ['X-Forwarded-Proto-Version', 'h2'],
    ['X-Forwarded-Client-Cert', 'x'],
    ['X-Forwarded', 'for=1.2.3.4'],
    ['X-Original-Forwarded-For', '1.2.3.4'],
    ['X-Original-Host', 'x.example'],
    ['X-Real-IP', '127.0.0.1'],
    ['X-Client-IP', '1.2.3.4'],
    ['X-Cluster-Client-IP', '1.2.3.4'],
    ['True-Client-IP', '1.2.3.4'],
    ['CF-Connecting-IP', '1.2.3.4'],
    ['CF-Ray', 'x'],
    ['CDN-Loop', 'cloudflare'],
    ['Fly-Client-IP', '1.2.3.4'],
    ['Fastly-Client-IP', '1.2.3.4'],
    ['x-FORWARDED-for', '1.2.3.4'],
  ])('without a key, a request with %s: %s is refused', async (name, value) => {
    for (const path of PATHS)
      expectClosed(await rawRequest(server.port, { path, headers: { [name]: value } }));
    expectClosed(await post({ [name]: value }));
  });

  test('without a key, a request is refused if the browser says that it comes from another site', async () => {
    const ask = (site: string, mode: string, method = 'GET') =>
      rawRequest(server.port, {
        method,
        path: '/messages?recipient=bob',
        headers: { 'Sec-Fetch-Site': site, 'Sec-Fetch-Mode': mode },
      });
    for (const mode of ['no-cors', 'cors', 'same-origin', 'websocket'])
      expectClosed(await ask('cross-site', mode));
    expectClosed(await ask('cross-site', 'navigate', 'POST'));
    expectClosed(await post({ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' }));
    for (const site of ['same-origin', 'none']) expect((await ask(site, 'cors')).status).toBe(200);
  });

  test('without a key, a link of another site may open the page, but neither data nor a stream', async () => {
    const follow = (path: string) =>
      rawRequest(server.port, {
        method: 'GET',
        path,
        headers: {
          'Sec-Fetch-Site': 'cross-site',
          'Sec-Fetch-Mode': 'navigate',
          'Sec-Fetch-Dest': 'document',
        },
      });
    expect((await follow('/')).status).toBe(200);
    for (const path of [
      '/stream?recipient=bob',
      '/messages?recipient=bob&wait=60',
      '/messages/1',
      '/metrics',
      '/push-key',
      '/push-subscriptions?recipient=bob',
    ])
      expectClosed(await follow(path));
  });
});

describe('the places that name a host', () => {
  const raw = (head: string) =>
    exchange(server.port, (socket) => socket.write(`${head}\r\nConnection: close\r\n\r\n`));

  test.each([
    'http://evil.example/messages?recipient=bob',
    'http://evil.example:80/messages?recipient=bob',
    'http://localhost@evil.example/messages?recipient=bob',
    'http://localhost.evil.example/stream?recipient=bob',
    'https://evil.example/messages?recipient=bob',
    'HTTP://EVIL.EXAMPLE/messages?recipient=bob',
  ])('a host in the request target counts, and not the header Host: %s', async (target) => {
    const answer = await raw(`GET ${target} HTTP/1.1\r\nHost: localhost`);
    expectClosed(answer);
  });

  test('a request target with the host of this machine is served', async () => {
    const target = `http://localhost:${server.port}/messages?recipient=bob`;
    expect((await raw(`GET ${target} HTTP/1.1\r\nHost: localhost:${server.port}`)).status).toBe(200);
  });

  // [RFC 9112 §3.2] More than one Host is 400.
  test.each([
    ['localhost', 'evil.example'],
    ['evil.example', 'localhost'],
    ['localhost', 'localhost'],
  ])('a request with two Host headers is refused: %s and %s', async (one, other) => {
    const answer = await raw(`GET /messages?recipient=bob HTTP/1.1\r\nHost: ${one}\r\nHost: ${other}`);
    expectProblem(answer, 400, []);
  });

  test('an HTTP/1.0 request without a Host is served, and one with another Host or Origin is refused', async () => {
    expect((await raw('GET /messages?recipient=bob HTTP/1.0')).status).toBe(200);
    expectClosed(await raw('GET /messages?recipient=bob HTTP/1.0\r\nHost: evil.example'));
    expectClosed(await raw('GET /messages?recipient=bob HTTP/1.0\r\nOrigin: https://evil.example'));
  });
});

test('with a key, a service ignores Host and forwarding headers', async () => {
  const env = { AUTH_SECRET: 'a secret for tests, which is long enough' };
  const other = await Server.start({ env });
  const headers = { Host: 'chat.example', 'X-Forwarded-For': '1.2.3.4', Via: '1.1 x' };
  expect((await rawRequest(other.port, { path: '/healthz', headers })).status).toBe(200);
  expectProblem(await rawRequest(other.port, { path: '/messages', headers }), 401, []);
  await other.kill();
});
