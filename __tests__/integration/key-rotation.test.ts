import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { request } from '../support/api.ts';
import { cleanUp, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
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

async function statusOfToken(token: string): Promise<number> {
  return (await request(`${server.url}/messages`, { headers: bearer(token) })).status;
}
const statusOf = (key: TestKey) => statusOfToken(tokenOf(key, claimsOf('alice')));

/** Puts another file in place, as a deployment does. */
function replace(text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}
const setOf = (...keys: readonly (object | null)[]) => JSON.stringify({ keys });

test('the first token that names a new key makes the service find it, and a removed key stops working', async () => {
  expect([await statusOf(first), await statusOf(second)]).toEqual([200, 401]);
  replace(setOf(first.publicJwk, second.publicJwk));
  await until(async () => (await statusOf(second)) === 200);
  expect(await statusOf(first)).toBe(200);
  replace(setOf(second.publicJwk));
  // A token of an unknown key makes the set be read again, and is itself refused.
  await until(async () => [await statusOf(stranger), await statusOf(first)].join() === '401,401');
  expect(await statusOf(second)).toBe(200);
});

test('a stream ends when the key of its token is removed, and streams of other keys go on', async () => {
  replace(setOf(first.publicJwk, second.publicJwk));
  await until(async () => {
    await statusOf(stranger);
    return (await statusOf(first)) === 200;
  });
  const [ended, kept] = await Promise.all(
    [first, second].map((key) =>
      DeviceStream.open(server.url, '', { headers: bearer(tokenOf(key, claimsOf('alice'))) }),
    ),
  );
  await Promise.all([ended?.waitFor('live'), kept?.waitFor('live')]);
  // Nobody sends a request meanwhile.
  replace(setOf(third.publicJwk, { ...second.publicJwk, use: 'sig' }));
  await ended?.waitForEnd();
  expect(ended?.events.at(-1)).toMatchObject({ event: 'bye', data: { reason: 'token-expired' } });
  expect(await statusOf(first)).toBe(401);
  replace(setOf(second.publicJwk));
  await until(async () => {
    await statusOf(stranger);
    return (await statusOf(third)) === 401;
  });
  expect(kept?.closed).toBe(false);
  kept?.cut();
});

test('another key of the same kid replaces the old one', async () => {
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

/** Texts that are not a key set. */
const malformed: [string, string][] = [
  ['no JSON', '{"keys":['],
  ['nothing', ''],
  ['a list', '[]'],
  ['null', 'null'],
  ['keys that are no list', '{"keys":{}}'],
  ['an object without keys', '{}'],
  ['more than a mebibyte', `{"keys":[]${' '.repeat(1024 * 1024)}}`],
  ['more keys than anybody has', `{"keys":[${'0,'.repeat(6000)}0]}`],
];

test('known keys stay in use if their file is malformed or gone', async () => {
  for (const [what, text] of malformed) {
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
  // Of two sessions the one that can be checked counts.
  const sessions = [third, second].map((key) => `tidings=${tokenOf(key, claimsOf('alice'))}`);
  for (const Cookie of [sessions.join('; '), sessions.reverse().join('; ')]) {
    expect((await request(`${server.url}/messages`, { headers: { Cookie } })).status).toBe(200);
  }
  expect(await statusOf(second)).toBe(200);
  replace(setOf(third.publicJwk));
  await until(async () => (await statusOf(third)) === 200);
  expect(await statusOf(second)).toBe(401);
});

test('the log names the variable of the keys, and shows no key', async () => {
  await until(() => server.stderr.includes('AUTH_JWKS'), 'the line in the log');
  for (const { privateJwk } of [first, second, third]) {
    expect(server.stderr).not.toContain(privateJwk.d);
    expect(server.stderr).not.toContain(privateJwk.x ?? privateJwk.n);
  }
});

test('unusable keys are ignored with one warning, and good keys beside them are used', async () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const short = { ...publicKey.export({ format: 'jwk' }), kid: 'third' };
  replace(setOf(short, { kty: 'RSA', n: 'AA', e: 'AQAB' }, null, third.publicJwk, first.privateJwk, {}));
  await until(async () => {
    await statusOf(stranger);
    return server.stderr.includes('ignored');
  });
  expect(await statusOf(third)).toBe(200);
  for (const other of [first, second]) expect(await statusOf(other)).toBe(401);
  const lines = server.stderr.split('\n').filter((line) => line.includes('ignored'));
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 50, usable: 1, ignored: 5 });
});

test('a token is checked with every key that may have signed it, whatever their order in the set', async () => {
  const keys = await Promise.all(Array.from({ length: 5 }, () => newKey('ES256', 'same')));
  replace(setOf(...keys.map(({ publicJwk }) => publicJwk)));
  for (const header of [{}, { kid: undefined }]) {
    for (const key of keys) {
      const token = tokenOf(key, claimsOf('alice'), header);
      await until(async () => {
        await statusOf(stranger);
        return (await statusOfToken(token)) === 200;
      });
    }
    expect(await statusOfToken(tokenOf(stranger, claimsOf('alice'), { kid: 'same', ...header }))).toBe(401);
  }
});

test('tokens are refused once a set without keys was read, though no token asks for a new read', async () => {
  const known = await newKey('ES256', 'known');
  replace(setOf(known.publicJwk));
  await until(async () => (await statusOf(known)) === 200);
  replace(setOf());
  await until(async () => (await statusOf(known)) === 401, 'the key to end');
  replace(setOf(known.publicJwk));
  await until(async () => (await statusOf(known)) === 200);
});

test('a file that is no key set, or has no usable key, ends the start with one line that names the variable', async () => {
  const settings = { AUTH_ISSUER: ISSUER, AUTH_AUDIENCE: AUDIENCE };
  const noneUsable = setOf(null, first.privateJwk, { kty: 'oct', k: 'AAAA' });
  const sources = ['{"keys":[', '{}', noneUsable].map((text) => {
    const path = jwksFile();
    writeFileSync(path, text);
    return path;
  });
  for (const source of [
    ...sources,
    `${file}.missing`,
    '/',
    'http://127.0.0.1:1/jwks.json',
    'HTTP://127.0.0.1:1/x',
    'ftp://127.0.0.1/x',
    'data:application/json,{}',
  ]) {
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
});
