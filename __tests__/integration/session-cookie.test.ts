import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectProblem } from '../support/problems.ts';
import { rawRequest } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SECRET, signToken, tokenFor } from '../support/tokens.ts';

const PARTNER = 'https://app.example.org';
const HOST = 'push.example.org';
let root: Server;
let below: Server;
let alice: string;
let mallory: string;
beforeAll(async () => {
  const env = { AUTH_SECRET: SECRET, CORS_ORIGINS: PARTNER };
  root = await Server.start({ env: { ...env, PUBLIC_URL: `https://${HOST}` } });
  below = await Server.start({ env: { ...env, PUBLIC_URL: `https://${HOST}/push` } });
  alice = await tokenFor('alice');
  mallory = await tokenFor('mallory');
});
afterAll(cleanUp);

const ask = (server: Server, path: string, headers: Record<string, string>) =>
  rawRequest(server.port, { path, headers: { Host: HOST, ...headers } });

/** The `sub` of the session, or the status of the refusal. */
async function who(server: Server, cookie: string): Promise<unknown> {
  const answer = await ask(server, '/session', { Cookie: cookie });
  return answer.status === 200 ? (answer.body as { sub: unknown }).sub : answer.status;
}

describe('the session cookie over https', () => {
  test.each<[string, () => Server, string]>([
    ['at the root of a host', () => root, '__Host-tidings'],
    ['below a path', () => below, '__Secure-tidings'],
  ])('%s the session is only in the cookie that no other site can set', async (_what, server, name) => {
    expect(await who(server(), `${name}=${alice}`)).toBe('alice');
    const others = ['tidings', '__Host-tidings', '__Secure-tidings', '__host-tidings'].filter(
      (one) => one !== name,
    );
    // White space other than a space belongs to a name, and a name without its prefix may be set by any site.
    const like = ['\u00a0', '\u0085', '\t', '=', '"'].map((mark) => `${mark}${name}`);
    for (const other of [...others, ...like]) {
      expect([other, await who(server(), `a=1; ${other}=${mallory}`)]).toEqual([other, 401]);
      expect([other, await who(server(), `a=1; ${other}=${mallory}; ${name}=${alice}`)]).toEqual([
        other,
        'alice',
      ]);
    }
    const refused = await ask(server(), '/session', {});
    expectProblem(refused, 401, []);
    expect(JSON.stringify(refused.body)).toContain(`\\"${name}\\"`);
  });
});

describe('a cookie of an earlier base path, or of the earlier name', () => {
  const cookiesOf = async (server: Server, method: string, cookie: string): Promise<string[]> => {
    const headers = {
      Host: HOST,
      Cookie: cookie,
      Origin: `https://${HOST}`,
      ...(method === 'PUT' ? { Authorization: `Bearer ${alice}` } : {}),
    };
    const answer = await rawRequest(server.port, { method, path: '/session', headers });
    expect(answer.status).toBe(method === 'PUT' ? 200 : 204);
    return answer.headers.getSetCookie();
  };
  /** Returns the cookies that a browser keeps for this host: `NAME PATH` with its value. */
  const keptAfter = (jar: Record<string, string>, cookies: readonly string[]): Record<string, string> => {
    const kept = { ...jar };
    for (const cookie of cookies) {
      const [, name = '', value = '', path = ''] = /^([^=]+)=([^;]*); Path=([^;]+);/.exec(cookie) ?? [];
      expect(cookie).toContain('; Secure');
      if (cookie.includes('Thu, 01 Jan 1970')) Reflect.deleteProperty(kept, `${name} ${path}`);
      else kept[`${name} ${path}`] = value;
    }
    return kept;
  };

  test('a bad cookie beside the good one does not matter', async () => {
    const stale = await signToken({ sub: 'alice', exp: 1 });
    for (const other of [
      stale,
      'x',
      await signToken({ sub: 'bob' }, 'a secret of before, which was long enough'),
    ]) {
      for (const pair of [
        [alice, other],
        [other, alice],
      ]) {
        const cookie = pair.map((value) => `__Secure-tidings=${value}`).join('; ');
        expect(await who(below, cookie)).toBe('alice');
      }
    }
    expect(await who(below, `__Secure-tidings=${alice}; __Secure-tidings=${mallory}`)).toBe(401);
  });

  test.each(['PUT', 'DELETE'])(
    '%s /session removes cookies of earlier base paths and names',
    async (method) => {
      const jar = {
        '__Secure-tidings /push/': 'x',
        '__Secure-tidings /': mallory,
        'tidings /push/': 'y',
        'tidings /': mallory,
        'other /': '1',
      };
      const sent = Object.entries(jar).map(([name, value]) => `${name.split(' ')[0]}=${value}`);
      const kept = keptAfter(jar, await cookiesOf(below, method, sent.join('; ')));
      const own = method === 'PUT' ? { '__Secure-tidings /push/': alice } : {};
      expect(kept).toEqual({ ...own, 'other /': '1' });
    },
  );

  test.each(['PUT', 'DELETE'])(
    '%s /session removes the cookie of the earlier name at the root of a host',
    async (method) => {
      const own = method === 'PUT' ? { '__Host-tidings /': alice } : {};
      const jar = { '__Host-tidings /': mallory, 'tidings /': mallory };
      const cookies = await cookiesOf(root, method, `__Host-tidings=${mallory}; tidings=${mallory}`);
      expect(keptAfter(jar, cookies)).toEqual(own);
      expect(await cookiesOf(root, method, `__Host-tidings=${mallory}`)).toHaveLength(1);
    },
  );
});

describe('the origin of a request with the session cookie', () => {
  test.each<[string, Record<string, string>, boolean]>([
    ['a program that says nothing of its origin', {}, true],
    ['a page of this site', { 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'cors' }, true],
    ['an address that a person typed', { 'Sec-Fetch-Site': 'none', 'Sec-Fetch-Mode': 'navigate' }, true],
    [
      'a page of CORS_ORIGINS',
      { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'cors', Origin: PARTNER },
      true,
    ],
    [
      'a page of CORS_ORIGINS on another site',
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'cors', Origin: PARTNER },
      true,
    ],
    ['a same-site picture', { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'no-cors' }, false],
    ['a picture on another site', { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' }, false],
    ['a link on another host', { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'navigate' }, false],
    [
      'a page of another host',
      { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'cors', Origin: `https://a.${HOST}` },
      false,
    ],
    [
      'a sandboxed frame',
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'cors', Origin: 'null' },
      false,
    ],
    ['two origins at once', { 'Sec-Fetch-Site': 'same-origin, cross-site' }, false],
  ])('the session cookie is accepted from trusted origins only: %s', async (_what, headers, allowed) => {
    const cookie = { Cookie: `__Host-tidings=${alice}`, ...headers };
    for (const path of ['/messages', '/messages?wait=0', '/session', '/conversations?recipient=alice']) {
      const answer = await ask(root, path, cookie);
      if (allowed) expect(answer.status).toBe(200);
      else expectProblem(answer, 403, []);
    }
    const stream = { method: 'HEAD', path: '/stream', headers: { Host: HOST, ...cookie } };
    expect((await rawRequest(root.port, stream)).status).toBe(allowed ? 200 : 403);
    // A page that has the token itself may be any.
    const bearer = { Authorization: `Bearer ${alice}`, ...headers };
    expect((await ask(root, '/messages', bearer)).status).toBe(200);
  });
});
