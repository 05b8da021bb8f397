import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { type Answer, request } from '../support/api.ts';
import { type Answering, KeyServer, serving } from '../support/key-server.ts';
import { expectProblem } from '../support/problems.ts';
import { handshakeBytes } from '../support/raw-socket.ts';
import { cleanUp, Server } from '../support/server.ts';
import {
  AUDIENCE,
  bearer,
  claimsOf,
  ISSUER,
  newKey,
  segment,
  type TestKey,
  tokenOf,
} from '../support/tokens.ts';
import { until } from '../support/until.ts';

let key: TestKey;
let next: TestKey;
let stranger: TestKey;
const issuers: KeyServer[] = [];
beforeAll(async () => {
  key = await newKey('RS256', 'key');
  next = await newKey('ES256', 'next');
  stranger = await newKey('ES256', 'stranger');
});
afterAll(async () => {
  await Promise.all(issuers.map((issuer) => issuer.close()));
  await cleanUp();
});

/** An issuer, and a service that trusts its certificate. */
async function startBoth(answering: Answering, down = false): Promise<[KeyServer, Server]> {
  const issuer = await KeyServer.start(answering);
  issuers.push(issuer);
  if (down) await issuer.close();
  return [issuer, await startService(issuer.url, { NODE_EXTRA_CA_CERTS: issuer.certificateFile })];
}

function startService(url: string, env: Record<string, string> = {}): Promise<Server> {
  return Server.start({
    env: { AUTH_JWKS: url, AUTH_ISSUER: ISSUER, AUTH_AUDIENCE: AUDIENCE, ...env },
  });
}

function ask(server: Server, by: TestKey): Promise<Answer> {
  return request(`${server.url}/messages`, { headers: bearer(tokenOf(by, claimsOf('alice'))) });
}
const statusOf = async (server: Server, by: TestKey) => (await ask(server, by)).status;

/** The ways in which an issuer can fail. */
const FAILURES = Object.entries<Answering>({
  'says 500': (_request, response) => response.writeHead(500).end(),
  'says 404 with a set': (_request, response) => {
    const body = JSON.stringify({ keys: [next.publicJwk] });
    response.writeHead(404, { 'Content-Type': 'application/json' }).end(body);
  },
  'says 204': (_request, response) => response.writeHead(204).end(),
  'sends a page': (_request, response) => response.end('<!doctype html>'),
  'sends a list': (_request, response) => response.end('[]'),
  'sends elsewhere': (incoming, response) => {
    if (incoming.url === '/elsewhere') serving(next.publicJwk)(incoming, response);
    else response.writeHead(302, { Location: '/elsewhere' }).end();
  },
  'cuts the connection': (_request, response) => response.destroy(),
  'never answers': () => undefined,
  'never ends its answer': (_request, response) => {
    response.write('{"keys":[');
    const drip = setInterval(() => response.write(' '), 100);
    response.on('close', () => clearInterval(drip));
  },
});

describe('the issuer of a key set', () => {
  test('a service whose issuer fails from the start answers 503, and works as soon as there are keys', async () => {
    await Promise.all(
      FAILURES.map(async ([what, answering]) => {
        const [issuer, server] = await startBoth(answering);
        const answer = await ask(server, next);
        expect({ what, status: answer.status }).toEqual({ what, status: 503 });
        expectProblem(answer, 503, []);
        expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
        expect((await request(`${server.url}/readyz`)).status).toBe(200);
        // A text that no key can have signed is no token, with or without keys.
        const unsigned = `${segment({ alg: 'none' })}.${segment(claimsOf('alice'))}.`;
        expectProblem(await request(`${server.url}/messages`, { headers: bearer(unsigned) }), 401, []);
        expect(issuer.asked).not.toContain('/elsewhere');
        issuer.answering = serving(key.publicJwk);
        await until(async () => (await statusOf(server, key)) === 200);
        expect(await statusOf(server, next)).toBe(401);
        await server.kill();
      }),
    );
  });

  test('tokens of an issuer without a usable key are refused until it has one', async () => {
    const symmetric = { kty: 'oct', k: 'AAAA', kid: 'x' };
    for (const set of [[], [key.privateJwk, symmetric]]) {
      const [issuer, server] = await startBoth(serving(...set));
      expectProblem(await ask(server, key), 401, []);
      await until(() => server.stderr.includes('AUTH_JWKS'), 'the line in the log');
      expect(server.stderr).not.toContain(key.privateJwk.d);
      issuer.answering = serving(key.publicJwk);
      await server.kill();
    }
  });

  test('a service whose issuer is away at the start answers 503 until it is there', async () => {
    const [issuer, server] = await startBoth(serving(key.publicJwk), true);
    expectProblem(await ask(server, key), 503, []);
    await issuer.listen();
    await until(async () => (await statusOf(server, key)) === 200);
    await server.kill();
  });

  test('an issuer with an untrusted certificate is not believed', async () => {
    const [issuer, trusting] = await startBoth(serving(key.publicJwk));
    const server = await startService(issuer.url);
    expect([await statusOf(server, key), await statusOf(trusting, key)]).toEqual([503, 200]);
    await Promise.all([server.kill(), trusting.kill()]);
  });

  test('a failing issuer is not asked again for each token', async () => {
    const [issuer, server] = await startBoth((_request, response) => response.writeHead(500).end());
    await ask(server, key);
    const before = issuer.asked.length;
    const begin = performance.now();
    for (let count = 0; count < 100; count += 1) await ask(server, stranger);
    // Once a second would do for a service without keys.
    expect(issuer.asked.length - before).toBeLessThanOrEqual(1 + (performance.now() - begin) / 1000);
    await server.kill();
  });

  test('a page that leaves while the issuer is slow is not logged as a failure of the service', async () => {
    const [issuer, server] = await startBoth((_request, response) => response.writeHead(500).end());
    const asked = issuer.asked.length;
    const held: ServerResponse[] = [];
    issuer.answering = (_request, response) => void held.push(response);
    const waiting: Promise<number>[] = [];
    await until(async () => {
      waiting.push(statusOf(server, key));
      await request(`${server.url}/healthz`);
      return issuer.asked.length > asked;
    });
    const headers = { Origin: server.url, ...bearer(tokenOf(key, claimsOf('alice'))) };
    const page = connect(server.port, '127.0.0.1');
    page.write(handshakeBytes('/ws', headers), () => page.resetAndDestroy());
    await once(page, 'close');
    await request(`${server.url}/healthz`);
    for (const response of held) response.writeHead(500).end();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([503]));
    await request(`${server.url}/healthz`);
    await server.kill();
    expect(server.stderr).not.toContain('a request failed');
  });

  test('an issuer that sends without end does not fill the memory', async () => {
    const block = Buffer.alloc(1024 * 1024, ' ');
    const [issuer, server] = await startBoth((_request, response) => {
      const pour = (): void => {
        while (!response.destroyed && response.write(block));
      };
      response.on('drain', pour);
      response.write('{"keys":[');
      pour();
    });
    expect(await statusOf(server, key)).toBe(503);
    const peak = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]);
    expect(peak).toBeLessThan(400 * 1024);
    issuer.answering = serving(key.publicJwk);
    await server.kill();
  });
});

test('keys rotate at the next token that names a new one, and known keys stay in use while the issuer fails', async () => {
  const both = await Promise.all([
    ...FAILURES.map(() => startBoth(serving(key.publicJwk))),
    startBoth(serving(key.publicJwk)),
    startBoth(serving(key.publicJwk)),
  ]);
  for (const [, server] of both) expect(await statusOf(server, key)).toBe(200);
  for (const [index, [issuer]] of both.entries()) {
    issuer.answering = FAILURES[index]?.[1] ?? serving(next.publicJwk);
    issuer.asked.length = 0;
  }
  const [down] = both.at(-2) ?? [];
  const [rotating, rotated] = both.at(-1) ?? [];
  if (down === undefined || rotating === undefined || rotated === undefined) throw new Error('not started');
  await down.close();
  // A set is read again at most once in 30 seconds.
  await until(
    async () => {
      await sleep(500);
      return (await statusOf(rotated, next)) === 200;
    },
    'the new key',
    45_000,
  );
  expect(await statusOf(rotated, key)).toBe(401);
  expect(rotating.asked).toHaveLength(1);
  await Promise.all(
    both.slice(0, -1).map(async ([issuer, server], index) => {
      const what = FAILURES[index]?.[0] ?? 'is not there';
      // Its 30 seconds may end a little later than those of the one that rotates.
      let status = 0;
      await until(async () => {
        await sleep(200);
        status = await statusOf(server, next);
        return status !== 401;
      }, `another try where the issuer ${what}`);
      expect({ what, status, known: await statusOf(server, key) }).toEqual({ what, status: 503, known: 200 });
      const before = issuer.asked.length;
      for (let count = 0; count < 10; count += 1) await statusOf(server, next);
      expect({ what, asked: issuer.asked.length }).toEqual({ what, asked: before });
      expect({ what, known: await statusOf(server, key) }).toEqual({ what, known: 200 });
    }),
  );
});
