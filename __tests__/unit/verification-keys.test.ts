import { generateKeyPairSync } from 'node:crypto';
import { beforeAll, expect, test } from '@jest/globals';
import type { JWK } from 'jose';
import { VerificationKeys } from '../../src/auth/verification-keys.ts';
import { newKey, type TestKey } from '../support/tokens.ts';

let rsa: TestKey;
let ec: TestKey;
let ed: TestKey;
beforeAll(async () => {
  rsa = await newKey('RS256', 'kid');
  ec = await newKey('ES256', 'kid');
  ed = await newKey('EdDSA', 'kid');
});

const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'];

/** How many candidates there are for tokens of each algorithm. */
function counts(keys: VerificationKeys, kid?: string): number[] {
  return ALGORITHMS.map((alg) => keys.candidates({ alg, kid }).length);
}

const publicJwk = (type: 'rsa' | 'ec', options: object): object =>
  generateKeyPairSync(type as 'rsa', options as { modulusLength: number }).publicKey.export({
    format: 'jwk',
  });

const unusable = (): [string, unknown][] => [
  ['null', null],
  ['a number', 0],
  ['a list', [rsa.publicJwk]],
  ['an empty object', {}],
  ['an RSA modulus of one byte', { kty: 'RSA', n: 'AA', e: 'AQAB' }],
  ['an RSA key of 1024 bits', publicJwk('rsa', { modulusLength: 1024 })],
  ['an RSA modulus of a megabyte', { ...rsa.publicJwk, n: 'z'.repeat(1_000_000) }],
  ['an RSA key with the exponent 1', { ...rsa.publicJwk, e: 'AQ' }],
  ['an RSA key with an even exponent', { ...rsa.publicJwk, e: 'AQAA' }],
  ['an RSA key with a huge exponent', { ...rsa.publicJwk, e: 'AQAAAAAAAAAAAAAB' }],
  ['an RSA key without an exponent', { ...rsa.publicJwk, e: undefined }],
  ['an RSA key whose modulus is no text', { ...rsa.publicJwk, n: 5 }],
  ['an EC key of another curve', publicJwk('ec', { namedCurve: 'P-384' })],
  ['a point that is not on the curve', { ...ec.publicJwk, y: ec.publicJwk.x }],
  ['an Ed25519 key that is too short', { ...ed.publicJwk, x: 'AAAA' }],
  ['a key type that nobody knows', { kty: 'XYZ', x: 'AA' }],
  ['a key to encrypt with', { ...rsa.publicJwk, use: 'enc' }],
  ['a key of another algorithm', { ...rsa.publicJwk, alg: 'PS256' }],
  ['a key for other operations', { ...rsa.publicJwk, key_ops: ['encrypt'] }],
  ['operations that are no list', { ...rsa.publicJwk, key_ops: 'verify' }],
  ['a kid that is no text', { ...rsa.publicJwk, kid: 1 }],
  ['a private RSA key', rsa.privateJwk],
  ['a private EC key', ec.privateJwk],
  ['a private Ed25519 key', ed.privateJwk],
  ['a symmetric key', { kty: 'oct', k: 'AAAA', kid: 'x', alg: 'HS256' }],
];

test('keys of a set that cannot be used are ignored with a reason, beside those that can', async () => {
  const good = [rsa.publicJwk, ec.publicJwk, ed.publicJwk];
  const bad = unusable();
  const keys = await VerificationKeys.import({
    keys: [...bad.map(([, key]) => key), ...good, ...bad.map(([, key]) => key)],
  });
  expect([keys.size, keys.ignored.length]).toEqual([3, bad.length * 2]);
  expect([counts(keys), counts(keys, 'kid'), counts(keys, 'other')]).toEqual([
    [1, 1, 1],
    [1, 1, 1],
    [0, 0, 0],
  ]);
  for (const [index, [what]] of bad.entries()) {
    const { why, secret } = keys.ignored[index] ?? {};
    expect([what, why, secret]).toEqual([
      what,
      expect.stringMatching(/\w/),
      /^a (private|symmetric)/.test(what),
    ]);
  }
  const reasons = JSON.stringify(keys.ignored);
  for (const { privateJwk } of [rsa, ec, ed]) expect(reasons).not.toContain(privateJwk.d);
});

test('a kid belongs to one algorithm, and a key without kid is for tokens without kid', async () => {
  const nameless = { ...ec.publicJwk, kid: undefined };
  const keys = await VerificationKeys.import({ keys: [rsa.publicJwk, nameless] });
  expect([counts(keys, 'kid'), counts(keys, ''), counts(keys)]).toEqual([
    [1, 0, 0],
    [0, 0, 0],
    [1, 1, 0],
  ]);
  for (const kid of [null, 1, {}]) expect(keys.candidates({ alg: 'ES256', kid })).toHaveLength(1);
  for (const alg of ['none', 'HS256', '__proto__', undefined]) expect(keys.candidates({ alg })).toEqual([]);
});

test('a set of thousands of keys gives a token as few candidates as a small one', async () => {
  const keys: JWK[] = Array.from({ length: 2000 }, (_, index) => ({ ...ec.publicJwk, kid: `kid-${index}` }));
  const many = await VerificationKeys.import({ keys });
  expect([many.size, counts(many, 'kid-1999'), counts(many, 'kid-2000')]).toEqual([
    2000,
    [0, 1, 0],
    [0, 0, 0],
  ]);
  expect(counts(many)).toEqual([0, 8, 0]);
  const same = await VerificationKeys.import({ keys: keys.map((key) => ({ ...key, kid: 'same' })) });
  expect([counts(same), counts(same, 'same')]).toEqual([
    [0, 8, 0],
    [0, 8, 0],
  ]);
});

test('a value that is not a key set is refused, as is a set with too many keys, and a set without keys is accepted', async () => {
  for (const set of [null, undefined, [], {}, { keys: {} }, { keys: null }, 'keys', rsa.publicJwk]) {
    await expect(VerificationKeys.import(set)).rejects.toThrow('not a JSON Web Key Set');
  }
  await expect(VerificationKeys.import({ keys: new Array(6000).fill(null) })).rejects.toThrow('6000 keys');
  const none = await VerificationKeys.import({ keys: [] });
  expect([none.size, none.ignored, counts(none)]).toEqual([0, [], [0, 0, 0]]);
});
