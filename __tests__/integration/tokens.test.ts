import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { publish, request } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { exchange, rawRequest } from '../support/raw.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import {
  AUDIENCE,
  bearer,
  claimsOf,
  cookie,
  ISSUER,
  jwksFile,
  newKey,
  rawToken,
  SECRET,
  secondsFromNow,
  signToken,
  type TestKey,
  tokenFor,
  tokenOf,
} from '../support/tokens.ts';
import { words } from '../support/words.ts';

const CHECKS = { AUTH_ISSUER: ISSUER, AUTH_AUDIENCE: AUDIENCE };
let server: Server;
let keys: TestKey[];
let token: string;
let mallory: string;
beforeAll(async () => {
  keys = [
    await newKey('RS256', 'rsa-1'),
    await newKey('RS256', 'rsa-2'),
    await newKey('ES256', 'ec-1'),
    await newKey('ES256', 'ec-2'),
    await newKey('EdDSA', 'ed-1'),
  ];
  const file = jwksFile(...keys.map(({ publicJwk }) => publicJwk));
  server = await Server.start({ env: { AUTH_SECRET: SECRET, AUTH_JWKS: file, ...CHECKS } });
  token = await tokenFor('alice');
  mallory = await tokenFor('mallory');
});
afterAll(cleanUp);

/** Whom a service takes the sender of a request for, or the status of its refusal. */
async function known(headers: Record<string, string>, where = server): Promise<string | number> {
  const answer = await request(`${where.url}/session`, { headers });
  return answer.status === 200 ? (answer.body as { sub: string }).sub : answer.status;
}

describe('good tokens', () => {
  test('a token of HS256 is accepted, with and without kid and typ, beside a key set', async () => {
    for (const header of [{}, { kid: 'any' }, { typ: 'JWT' }, { typ: 'at+jwt' }]) {
      const made = rawToken({ alg: 'HS256', ...header }, claimsOf('alice'), SECRET);
      expect(await known(bearer(made))).toBe('alice');
      expect(await known(cookie(made))).toBe('alice');
    }
  });

  test('a token of each key of a set is accepted, with and without kid, also if two keys have its algorithm', async () => {
    for (const key of keys) {
      expect(await known(bearer(tokenOf(key, claimsOf(key.kid))))).toBe(key.kid);
      expect(await known(bearer(tokenOf(key, claimsOf(key.kid), { kid: undefined })))).toBe(key.kid);
    }
  });

  test('a token of a key that is published without kid and alg is accepted', async () => {
    const bare = keys.map(({ publicJwk }) => ({ ...publicJwk, kid: undefined, alg: undefined }));
    const other = await Server.start({ env: { AUTH_JWKS: jwksFile(...(bare as object[])), ...CHECKS } });
    for (const key of keys) {
      expect(await known(bearer(tokenOf(key, claimsOf('alice'), { kid: undefined })), other)).toBe('alice');
    }
    // Without AUTH_SECRET there is nothing that checks HS256.
    expect(await known(bearer(token), other)).toBe(401);
    await other.kill();
  });

  test('a token of a secret in a file is accepted, and the last line end is not part of the secret', async () => {
    const file = join(newFolder(), 'secret');
    writeFileSync(file, `${SECRET}\n`);
    const other = await Server.start({ env: { AUTH_SECRET_FILE: file } });
    expect(await known(bearer(token), other)).toBe('alice');
    const long = rawToken({ alg: 'HS256' }, claimsOf('alice'), `${SECRET}\n`);
    expect(await known(bearer(long), other)).toBe(401);
    await other.kill();
  });
});

describe('without a token', () => {
  test.each([
    ['/messages', 'GET'],
    ['/messages', 'POST'],
    ['/messages/1', 'GET'],
    ['/messages/999', 'GET'],
    ['/stream', 'GET'],
    ['/stream', 'HEAD'],
    ['/stream?recipient=*', 'GET'],
    ['/conversations?recipient=alice', 'GET'],
    ['/presence?recipient=alice', 'GET'],
    ['/session', 'GET'],
    ['/session', 'PUT'],
  ])('%s without a token is 401 for %s, with WWW-Authenticate', async (path, method) => {
    const answer = await request(`${server.url}${path}`, {
      method,
      headers: { Accept: 'text/event-stream' },
    });
    expect(answer.status).toBe(401);
    if (method !== 'HEAD') expectProblem(answer, 401, []);
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer\b/);
  });

  test('the health of the service can be read without a token', async () => {
    expect((await request(`${server.url}/healthz`)).status).toBe(200);
    expect((await request(`${server.url}/readyz`)).status).toBe(200);
  });

  test('without a token a body is not read: a malformed one is 401 as well', async () => {
    const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"bad' };
    expectProblem(await request(`${server.url}/messages`, init), 401, []);
  });
});

/** The usual names of a token in a URL. */
const NAMES = words(`
  access_token token jwt authorization Authorization auth bearer id_token tidings api_key apikey key session
  auth_token ACCESS_TOKEN
`);

describe('a token in a URL', () => {
  test.each(NAMES)('a token in a URL as %s is refused, and not repeated in the answer', async (name) => {
    const paths = ['stream', 'messages', 'presence', 'conversations'].map(
      (one) => `/${one}?recipient=alice&`,
    );
    for (const path of [...paths, '/session?', '/messages/1?']) {
      for (const headers of [{}, bearer(token), cookie(token)]) {
        const answer = await request(`${server.url}${path}${name}=${token}`, { headers });
        expectProblem(answer, 400);
        expect(JSON.stringify([answer.body, ...answer.headers])).not.toContain(token.split('.')[2]);
      }
    }
    expectProblem(await publish(`${server.url}/messages?${name}=${token}`, {}, bearer(token)), 400);
  });

  test('a token in a URL is not logged', () => {
    expect(`${server.stdout}${server.stderr}`).not.toContain(token.split('.')[2]);
  });

  test('a token in a form does not sign in', async () => {
    const form = new URLSearchParams({ recipient: 'bob', content: 'x', access_token: token });
    const answer = await request(`${server.url}/messages`, { method: 'POST', body: form });
    expectProblem(answer, 401, []);
  });
});

describe('Authorization', () => {
  test.each<[string, string, string | number]>([
    // [RFC 9110 §11.1, §11.4] A scheme has no case, and one or more spaces follow it.
    ['a scheme in lower case', 'bearer TOKEN', 'alice'],
    ['a scheme in upper case', 'BEARER TOKEN', 'alice'],
    ['two spaces', 'Bearer  TOKEN', 'alice'],
    ['no space', 'BearerTOKEN', 401],
    ['a colon', 'Bearer: TOKEN', 401],
    ['a tab', 'Bearer\tTOKEN', 401],
    ['a space and a tab', 'Bearer \tTOKEN', 401],
    ['a no-break space', 'Bearer\u00a0TOKEN', 401],
    // [RFC 9110 §5.5] White space around a value is no part of it.
    ['white space at both ends', '\t Bearer TOKEN \t', 'alice'],
    ['no scheme', 'TOKEN', 401],
    ['the scheme alone', 'Bearer', 401],
    ['nothing', '', 401],
    ['Basic', 'Basic TOKEN', 401],
    ['Basic with name and password', `Basic ${Buffer.from('alice:x').toString('base64')}`, 401],
    ['Digest', 'Digest username="alice"', 401],
    ['Token', 'Token TOKEN', 401],
    ['JWT', 'JWT TOKEN', 401],
    ['a token in quotes', 'Bearer "TOKEN"', 401],
    ['a parameter', 'Bearer token=TOKEN', 401],
    ['two tokens', 'Bearer TOKEN TOKEN', 401],
    ['two tokens with a comma', 'Bearer TOKEN, Bearer TOKEN', 401],
    ['another scheme first', 'Basic x, Bearer TOKEN', 401],
    ['a scheme that begins like it', 'Bearerx TOKEN', 401],
  ])('Authorization with %s, %j, gives %s', async (_what, value, expected) => {
    expect(await known({ Authorization: value.replaceAll('TOKEN', token) })).toBe(expected);
  });

  test('a second Authorization does not replace the first', async () => {
    const two = [`Authorization: Bearer ${token}`, `Authorization: Bearer ${mallory}`].join('\r\n');
    const answer = await exchange(server.port, (socket) =>
      socket.write(`GET /session HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${two}\r\n\r\n`),
    );
    expect([200, 400, 401]).toContain(answer.status);
    if (answer.status === 200) expect(answer.body).toMatchObject({ sub: 'alice' });
  });
});

describe('the cookie', () => {
  test.each<[string, string, string | number]>([
    ['among others', 'a=1; tidings=TOKEN; b=2', 'alice'],
    ['without spaces', 'a=1;tidings=TOKEN;b=2', 'alice'],
    ['beside names that contain its own', 'xtidings=MALLORY; tidings=TOKEN; tidings2=MALLORY', 'alice'],
    ['only inside the value of another', 'a=tidings=TOKEN', 401],
    ['only as a name that begins like it', 'tidings2=TOKEN', 401],
    ['only in another case', 'Tidings=TOKEN', 401],
    ['that is empty', 'tidings=', 401],
    ['without a value', 'tidings', 401],
    ['with a prefix', '__Host-tidings=TOKEN', 401],
    ['after a comma', 'a=1, tidings=TOKEN', 401],
  ])('a session cookie %s, %j, gives %s', async (_what, value, expected) => {
    const header = value.replaceAll('TOKEN', token).replaceAll('MALLORY', mallory);
    expect(await known({ Cookie: header })).toBe(expected);
  });

  // [RFC 6265 §8.6] A sibling domain can set a second cookie of the name; the server cannot tell which is whose.
  test.each([['tidings=TOKEN; tidings=MALLORY'], ['tidings=MALLORY; tidings=TOKEN']])(
    'a cookie with good tokens of two clients is refused: %s',
    async (value) => {
      const header = value.replaceAll('TOKEN', token).replaceAll('MALLORY', mallory);
      expect(await known({ Cookie: header })).toBe(401);
    },
  );

  test.each([
    ['tidings=TOKEN; a=1; tidings=x'],
    ['tidings=x; tidings=TOKEN'],
    ['tidings=FORGED; tidings=TOKEN'],
    ['tidings=EXPIRED; tidings=TOKEN; tidings=x; tidings='],
    ['tidings=TOKEN; tidings=TOKEN'],
    ['tidings=TOKEN; tidings=LATER'],
    ['tidings=x; tidings=y; tidings=x; tidings=z; tidings=y; tidings=TOKEN'],
  ])('of several cookies the good one counts: %s', async (value) => {
    const header = value
      .replaceAll('TOKEN', token)
      .replaceAll('FORGED', await signToken({ sub: 'mallory' }, 'y'.repeat(40)))
      .replaceAll('EXPIRED', await signToken({ sub: 'mallory', exp: secondsFromNow(-5) }))
      .replaceAll('LATER', await signToken({ sub: 'alice', exp: secondsFromNow(7200) }));
    expect(await known({ Cookie: header })).toBe('alice');
  });

  test('the first four different session cookies of a request are checked, and no more', async () => {
    const others = Array.from({ length: 4 }, (_, index) => `tidings=x${index}`);
    expect(await known({ Cookie: [...others.slice(1), `tidings=${token}`].join('; ') })).toBe('alice');
    expect(await known({ Cookie: [...others, `tidings=${token}`].join('; ') })).toBe(401);
  });
});

describe('bearer token and cookie together', () => {
  test('a bearer token counts and the cookie beside it does not, even if only the cookie is good', async () => {
    expect(await known({ ...bearer(token), ...cookie(mallory) })).toBe('alice');
    for (const bad of ['x', 'e30.e30.e30', `${token}x`]) {
      expect(await known({ ...bearer(bad), ...cookie(token) })).toBe(401);
    }
  });
});

test('no token is taken from a body, a header of another name, or a second part of the target', async () => {
  const names = words(`
    X-Authorization Proxy-Authorization X-Access-Token X-Api-Key Token X-Forwarded-User X-Remote-User Remote-User
    Sec-WebSocket-Protocol
  `);
  for (const name of names) {
    expect(await known({ [name]: `Bearer ${token}` })).toBe(401);
  }
  expectProblem(await publish(server.url, { recipient: 'bob', content: 1, access_token: token }), 401);
  expect((await rawRequest(server.port, { path: `/session;tidings=${token}` })).status).not.toBe(200);
});
