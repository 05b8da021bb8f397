import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { request } from '../support/api.ts';
import { cleanUp, Server } from '../support/server.ts';
import {
  AUDIENCE,
  bearer,
  claimsOf,
  ISSUER,
  jwksFile,
  newKey,
  type TestKey,
  tokenOf,
} from '../support/tokens.ts';
import { until } from '../support/until.ts';

let first: TestKey;
let second: TestKey;
let third: TestKey;
let stranger: TestKey;
let file: string;
let server: Server;
beforeAll(async () => {
  first = await newKey('RS256', 'first');
  second = await newKey('ES256', 'second');
  third = await newKey('EdDSA', 'third');
  stranger = await newKey('ES256', 'stranger');
  file = jwksFile(first.publicJwk);
  server = await Server.start({
    env: { AUTH_JWKS: file, AUTH_ISSUER: ISSUER, AUTH_AUDIENCE: AUDIENCE },
  });
});
afterAll(cleanUp);

async function statusOf(key: TestKey): Promise<number> {
  const headers = bearer(tokenOf(key, claimsOf('alice')));
  return (await request(`${server.url}/messages`, { headers })).status;
}

/** Puts another file in place, as a deployment does. */
function replace(text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}
const setOf = (...keys: readonly object[]) => JSON.stringify({ keys });

test('a new key is found at the first token that names it, and the old one ends', async () => {
  expect([await statusOf(first), await statusOf(second)]).toEqual([200, 401]);
  replace(setOf(first.publicJwk, second.publicJwk));
  await until(async () => (await statusOf(second)) === 200);
  expect(await statusOf(first)).toBe(200);
  replace(setOf(second.publicJwk));
  // A token of an unknown key makes the set be read again, and is itself refused.
  await until(async () => [await statusOf(stranger), await statusOf(first)].join() === '401,401');
  expect(await statusOf(second)).toBe(200);
});

test('another key of the same kid takes the place of the old one', async () => {
  const other = await newKey('ES256', 'second');
  replace(setOf(other.publicJwk));
  await until(async () => {
    await statusOf(stranger);
    return (await statusOf(other)) === 200;
  });
  expect(await statusOf(second)).toBe(401);
  replace(setOf(second.publicJwk));
  await until(async () => {
    await statusOf(stranger);
    return (await statusOf(second)) === 200;
  });
});

/** Sets that a service must not take. */
const bad = (): [string, string][] => [
  ['no JSON', '{"keys":['],
  ['nothing', ''],
  ['a list', '[]'],
  ['null', 'null'],
  ['no keys', '{"keys":[]}'],
  ['keys that are no list', '{"keys":{}}'],
  ['a key that is null', '{"keys":[null]}'],
  ['one key instead of a set', JSON.stringify(third.publicJwk)],
  ['a private RSA key', setOf(third.publicJwk, first.privateJwk)],
  ['a private EC key', setOf(third.publicJwk, second.privateJwk)],
  ['a private Ed25519 key', setOf(third.privateJwk)],
  ['a symmetric key', setOf(third.publicJwk, { kty: 'oct', k: 'AAAA', kid: 'x', alg: 'HS256' })],
];

test('where the file is broken, gone, or has a secret in it, the keys that were known stay', async () => {
  const chosen = ['no JSON', 'no keys', 'a private EC key', 'a symmetric key'];
  for (const [what, text] of bad().filter(([name]) => chosen.includes(name))) {
    const told = server.stderr.length;
    replace(text);
    await until(async () => {
      const status = await statusOf(third);
      if (status === 200) throw new Error(`a set was taken: ${what}`);
      return server.stderr.length > told;
    }, `the log to tell of ${what}`);
    expect([what, await statusOf(second)]).toEqual([what, 200]);
  }
  rmSync(file);
  expect(await statusOf(third)).not.toBe(200);
  expect(await statusOf(second)).toBe(200);
  replace(setOf(third.publicJwk));
  await until(async () => (await statusOf(third)) === 200);
  expect(await statusOf(second)).toBe(401);
});

test('the log names the variable, and no key', () => {
  expect(server.stderr).toContain('AUTH_JWKS');
  for (const { privateJwk } of [first, second, third]) {
    expect(server.stderr).not.toContain(privateJwk.d);
    expect(server.stderr).not.toContain(privateJwk.x ?? privateJwk.n);
  }
});

test('a set that a service must not take ends the start with one line that names the variable', async () => {
  const settings = { AUTH_ISSUER: ISSUER, AUTH_AUDIENCE: AUDIENCE };
  const sources = bad().map(([, text]) => {
    const path = jwksFile();
    writeFileSync(path, text);
    return path;
  });
  for (const source of [...sources, `${file}.missing`, '/', 'http://127.0.0.1:1/jwks.json', 'HTTP://127.0.0.1:1/x', 'ftp://127.0.0.1/x', 'data:application/json,{}']) {
    const { code, stdout, stderr } = await Server.run({ env: { AUTH_JWKS: source, ...settings } });
    expect({ source, code, stdout }).toEqual({ source, code: 1, stdout: '' });
    expect(stderr).toMatch(/^[^\n]*AUTH_JWKS[^\n]*\n$/);
  }
  for (const missing of ['AUTH_ISSUER', 'AUTH_AUDIENCE']) {
    const env: Record<string, string> = { AUTH_JWKS: file, ...settings, [missing]: '' };
    const { code, stderr } = await Server.run({ env });
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`^[^\\n]*${missing}[^\\n]*\\n$`));
  }
}, 120_000); // prettier-ignore
