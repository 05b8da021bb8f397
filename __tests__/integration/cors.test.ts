import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { publish } from '../support/api.ts';
import { rawRequest } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { bearer, cookie, SECRET, tokenFor } from '../support/tokens.ts';
import { words } from '../support/words.ts';

const PARTNER = 'https://partner.example';
const LOCAL = 'http://localhost:5173';
let server: Server;
let none: Server;
let token: string;
beforeAll(async () => {
  const origins = `${PARTNER},${LOCAL}`;
  server = await Server.start({ env: { AUTH_SECRET: SECRET, CORS_ORIGINS: origins } });
  none = await Server.start({ env: { AUTH_SECRET: SECRET } });
  token = await tokenFor('alice', { sendTo: ['*'] });
  await publish(server.url, { recipient: 'bob', content: 1 }, bearer(token));
});
afterAll(cleanUp);

const CORS = /^access-control-/i;
const corsOf = ({ headers }: { headers: Headers }) =>
  Object.fromEntries([...headers].filter(([name]) => CORS.test(name)));
const listOf = (text: string | null) => (text ?? '').toLowerCase().split(/\s*,\s*/);

function preflight(origin: string, path: string, method: string, headers?: string, where = server) {
  return rawRequest(where.port, {
    method: 'OPTIONS',
    path,
    headers: {
      Origin: origin,
      'Access-Control-Request-Method': method,
      ...(headers === undefined ? {} : { 'Access-Control-Request-Headers': headers }),
    },
  });
}

const PATHS = ['/messages', '/messages/1', '/stream', '/conversations', '/presence', '/session'];
const ANSWERING = ['/messages', '/stream?recipient=carol', '/session'];
/** Origins that nobody let in. */
const OTHERS = [
  ...words(`
    https://evil.example null file:// ${PARTNER}.evil.example https://a.partner.example http://partner.example
    ${PARTNER}:8443 ${PARTNER}/ https://evilpartner.example https://partnerXexample * http://localhost:5174
    http://localhost http://127.0.0.1:5173 ${PARTNER},${LOCAL}
  `),
  `${PARTNER} ${LOCAL}`,
  '',
];

describe('a page of CORS_ORIGINS', () => {
  test.each(PATHS)('a preflight lets a page of CORS_ORIGINS request %s with credentials', async (path) => {
    for (const origin of [PARTNER, LOCAL]) {
      const fields = ['authorization', 'content-type', 'idempotency-key', 'last-event-id'];
      const answer = await preflight(origin, path, 'PUT', fields.join());
      expect(answer.status).toBe(204);
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
      expect(answer.headers.get('access-control-allow-credentials')).toBe('true');
      expect(listOf(answer.headers.get('access-control-allow-methods'))).toEqual(
        expect.arrayContaining(['get', 'post', 'put', 'delete']),
      );
      expect(listOf(answer.headers.get('access-control-allow-headers'))).toEqual(
        expect.arrayContaining(fields),
      );
      expect(listOf(answer.headers.get('vary'))).toContain('origin');
      expect(answer.head).not.toMatch(/^access-control-[a-z-]+: \*/im);
    }
  });

  test.each<[string, string, string, Record<string, string>, number]>([
    ['a page of messages', 'GET', '/messages', {}, 200],
    ['the same for HEAD', 'HEAD', '/messages', {}, 200],
    ['a message', 'GET', '/messages/1', {}, 200],
    ['presence', 'GET', '/presence?recipient=alice', {}, 200],
    ['a session', 'GET', '/session', {}, 200],
    ['a parameter out of its rule', 'GET', '/messages?limit=0', {}, 400],
    ['a token in the URL', 'GET', '/messages?access_token=x', {}, 400],
    ['a body that is none', 'POST', '/messages', { 'Content-Type': 'application/json' }, 400],
    ['no good token', 'GET', '/messages', { Authorization: 'Bearer x' }, 401],
    ['another inbox', 'GET', '/messages?recipient=carol', {}, 403],
    ['a message that is not there', 'GET', '/messages/999', {}, 404],
    ['a path that is not there', 'GET', '/nothing', {}, 404],
    ['another method', 'PATCH', '/messages', {}, 405],
    ['another content type', 'POST', '/messages', { 'Content-Type': 'text/plain' }, 415],
  ])('a page of CORS_ORIGINS may read the answer: %s', async (_what, method, path, headers, status) => {
    for (const origin of [PARTNER, LOCAL]) {
      const answer = await rawRequest(server.port, {
        method,
        path,
        headers: { ...bearer(token), Origin: origin, ...headers },
        ...(method === 'POST' ? { body: 'x' } : {}),
      });
      expect(answer.status).toBe(status);
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
      expect(answer.headers.get('access-control-allow-credentials')).toBe('true');
      expect(listOf(answer.headers.get('access-control-expose-headers'))).toEqual(
        expect.arrayContaining(['location', 'retry-after']),
      );
      expect(listOf(answer.headers.get('vary'))).toContain('origin');
    }
    // A cache must not give to a page what it holds for no page.
    const plain = await rawRequest(server.port, { path: '/messages', headers: bearer(token) });
    expect(listOf(plain.headers.get('vary'))).toContain('origin');
  });

  test('a page of CORS_ORIGINS may open a stream with its session', async () => {
    const headers = { ...cookie(token), Origin: PARTNER };
    const device = await DeviceStream.open(server.url, '', { headers });
    await device.waitFor('live');
    expect(device.response.headers).toMatchObject({
      'access-control-allow-origin': PARTNER,
      'access-control-allow-credentials': 'true',
    });
    device.cut();
  });
});

describe('a page of another site', () => {
  test.each(OTHERS.map((origin) => [origin]))(
    'the origin %j gets no CORS header on preflights, answers, problems and streams',
    async (origin) => {
      for (const path of PATHS) {
        for (const where of [server, none]) {
          const asked = await preflight(origin, path, 'POST', 'authorization', where);
          expect([path, corsOf(asked)]).toEqual([path, {}]);
        }
      }
      for (const headers of [bearer(token), cookie(token), {}]) {
        for (const path of [...ANSWERING, '/messages?limit=0', '/messages/999', '/nothing']) {
          const answer = await rawRequest(server.port, { path, headers: { ...headers, Origin: origin } });
          expect([path, corsOf(answer)]).toEqual([path, {}]);
        }
      }
      const headers = { ...bearer(token), Origin: origin };
      const device = await DeviceStream.open(server.url, '', { headers });
      expect(Object.keys(device.response.headers).filter((name) => CORS.test(name))).toEqual([]);
      device.cut();
    },
  );

  test('no origin gets a CORS header by default, not even one of this machine', async () => {
    for (const origin of [PARTNER, LOCAL, none.url, 'http://localhost:3000']) {
      const answer = await rawRequest(none.port, {
        path: '/messages',
        headers: { ...bearer(token), Origin: origin },
      });
      expect([answer.status, corsOf(answer)]).toEqual([200, {}]);
    }
  });
});

test.each(
  words(`
    * https://a.example,* partner.example https://*.example null https://a.example/ https://a.example/x
    ftp://a.example https://a.example? https://u@a.example HTTPS://A.example
  `),
)('CORS_ORIGINS=%j ends the start, because no Origin can have this value', async (value) => {
  const { code, stderr } = await Server.run({ env: { AUTH_SECRET: SECRET, CORS_ORIGINS: value } });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^[^\n]*CORS_ORIGINS[^\n]*\n$/);
});
