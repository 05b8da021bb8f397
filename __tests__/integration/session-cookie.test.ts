import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectProblem } from '../support/problems.ts';
import { rawRequest } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SECRET, tokenFor } from '../support/tokens.ts';

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

/** Whose session it is: the `sub`, or the status of the refusal. */
async function who(server: Server, cookie: string): Promise<unknown> {
  const answer = await ask(server, '/session', { Cookie: cookie });
  return answer.status === 200 ? (answer.body as { sub: unknown }).sub : answer.status;
}

describe('over https the session is in the cookie that no other site can set', () => {
  test.each<[string, () => Server, string]>([
    ['at the root of a host', () => root, '__Host-tidings'],
    ['below a path', () => below, '__Secure-tidings'],
  ])('%s', async (_what, server, name) => {
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

describe('a request with the cookie, of which the browser says where it comes from', () => {
  test.each<[string, Record<string, string>, boolean]>([
    ['nothing, as other programs do', {}, true],
    ['a page of this site', { 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'cors' }, true],
    ['the person, who typed it', { 'Sec-Fetch-Site': 'none', 'Sec-Fetch-Mode': 'navigate' }, true],
    [
      'a page of CORS_ORIGINS',
      { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'cors', Origin: PARTNER },
      true,
    ],
    [
      'one on another site',
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'cors', Origin: PARTNER },
      true,
    ],
    ['its picture or script', { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'no-cors' }, false],
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
    ['nobody knows whom', { 'Sec-Fetch-Site': 'same-origin, cross-site' }, false],
  ])('%s', async (_what, headers, allowed) => {
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
