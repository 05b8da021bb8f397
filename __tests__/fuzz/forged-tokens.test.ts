import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { publish, request } from '../support/api.ts';
import type { JWK } from 'jose';
import { selfSigned } from '../support/certificate.ts';
import { forgeriesOf } from './forgeries.ts';
import { expectProblem } from '../support/problems.ts';
import { cleanUp, Server } from '../support/server.ts';
import { AUDIENCE, bearer, cookie, ISSUER, jwksFile, newKey, SECRET, tokenFor } from '../support/tokens.ts';

const ALL = { sendTo: ['*'], sendAs: ['*'], read: ['*'] };
let forgeries: Map<string, string>;
let server: Server;
/** One whose set does not say which algorithms its keys are for. */
let unsaid: Server;
let trap: string;
/** The requests of the service to a forger's server. */
const trapped: string[] = [];
const trapServer = createServer((incoming, outgoing) => {
  trapped.push(incoming.url ?? '');
  outgoing.end('{"keys":[]}');
});
let good: string;

beforeAll(async () => {
  await once(trapServer.listen(0, '127.0.0.1'), 'listening');
  trap = `http://127.0.0.1:${(trapServer.address() as AddressInfo).port}`;
  const own = await newKey('RS256', 'own');
  const keys = {
    rsa: await newKey('RS256', 'rsa'),
    ec: await newKey('ES256', 'ec'),
    ed: await newKey('EdDSA', 'ed'),
    own,
    ownEc: await newKey('ES256', 'own'),
    ownEd: await newKey('EdDSA', 'own'),
    ec384: await newKey('ES384', 'own'),
    ownCertificate: selfSigned(own.private).pem.replaceAll(/-----[^-]+-----|\n/g, ''),
  };
  const start = (...set: JWK[]) =>
    Server.start({
      env: { AUTH_SECRET: SECRET, AUTH_JWKS: jwksFile(...set), AUTH_ISSUER: ISSUER, AUTH_AUDIENCE: AUDIENCE },
    });
  const set = [keys.rsa, keys.ec, keys.ed].map(({ publicJwk }) => publicJwk);
  server = await start(...set);
  unsaid = await start(
    ...set.map((key): JWK => JSON.parse(JSON.stringify({ ...key, alg: undefined })) as JWK),
  );
  good = await tokenFor('alice', ALL);
  forgeries = await forgeriesOf(keys, good, trap);
});
afterAll(async () => {
  trapServer.close();
  await cleanUp();
});

/** The characters that a header field can have. */
const inHeader = (token: string) => /^[\x20-\x7e]*$/.test(token);
const inCookie = (token: string) => /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/.test(token);

describe('a forged token', () => {
  test('every forged token is 401, in the header and in the cookie', async () => {
    for (const { url } of [server, unsaid]) {
      expect((await request(`${url}/messages`, { headers: bearer(good) })).status).toBe(200);
    }
    let tried = 0;
    const accepted: string[] = [];
    const other: string[] = [];
    for (const [what, token] of forgeries) {
      for (const [place, headers, fits] of [
        ['header', bearer(token), inHeader(token)],
        ['cookie', cookie(token), inCookie(token)],
      ] as const) {
        if (!fits) continue;
        for (const { url } of [server, unsaid]) {
          tried += 1;
          const { status } = await request(`${url}/messages`, { headers });
          if (status < 300) accepted.push(`${what} (${place})`);
          else if (status !== 401) other.push(`${what} (${place}): ${status}`);
        }
      }
    }
    expect({ accepted, other }).toEqual({ accepted: [], other: [] });
    expect(forgeries.size).toBeGreaterThan(500);
    expect(tried).toBeGreaterThan(2000);
  });

  test('forged tokens make the service ask nobody for a key', () => {
    expect(trapped).toEqual([]);
  });

  test('a forged token is 401 on every path', async () => {
    const token = forgeries.get('HS256 by another secret') ?? '';
    const headers = bearer(token);
    const ofAlice = ['/conversations?recipient=alice', '/presence?recipient=alice'];
    for (const path of ['/stream', '/messages', '/messages/1', '/session', ...ofAlice]) {
      expectProblem(await request(`${server.url}${path}`, { headers }), 401, []);
    }
    expectProblem(await publish(server.url, { recipient: 'bob', content: 1 }, headers), 401, []);
    expectProblem(await request(`${server.url}/session`, { method: 'PUT', headers }), 401, []);
    expectProblem(
      await request(`${server.url}/stream`, { headers: { ...headers, Accept: 'text/event-stream' } }),
      401,
      [],
    );
  });

  test('a forged token gets an answer without any part of it or of a key, whatever is wrong with it', async () => {
    for (const what of [
      'HS256 by another secret',
      'alg "none" without signature',
      'RS256, another sub',
      'RS256 with jwk',
    ]) {
      const token = forgeries.get(what) ?? '';
      const answer = await request(`${server.url}/messages`, { headers: bearer(token) });
      expectProblem(answer, 401, []);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer\b/);
      const all = JSON.stringify([answer.body, ...answer.headers]);
      expect(all).not.toContain(SECRET);
      for (const part of token.split('.').filter(({ length }) => length > 20))
        expect(all).not.toContain(part);
      expect(all).not.toMatch(/jwks\.json|jose|ERR_/);
    }
    await server.stop();
    for (const secret of [SECRET, ...good.split('.').slice(1)]) {
      expect(`${server.stdout}${server.stderr}`).not.toContain(secret);
    }
  });
});
