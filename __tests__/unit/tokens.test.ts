import { beforeAll, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { identityOf } from '../../src/auth/identity.ts';
import { SecretKeys } from '../../src/auth/secret-keys.ts';
import { TokenRefused, Tokens } from '../../src/auth/tokens.ts';
import { AUDIENCE, ISSUER, rawToken, SECRET, segment, signature } from '../support/tokens.ts';

/** The time of these tests, in seconds since 1970. */
const NOW = 1_800_000_000;
const GOOD = { sub: 'alice', exp: NOW + 1 };
const OTHER_SECRET = 'another secret for tests, a line further';

/** Returns a verifier of tokens by two secrets, at a time that a test may move. */
async function verifier(
  claims: { issuer?: string; audience?: string } = {},
): Promise<{ tokens: Tokens; clock: { now: number } }> {
  const list = [SECRET, OTHER_SECRET].map((secret) => Buffer.from(secret));
  const secrets = new SecretKeys({ list, file: undefined }, pino({ level: 'silent' }));
  const clock = { now: NOW * 1000 };
  const keys = { secrets, keySet: undefined, issuer: claims.issuer, audience: claims.audience };
  const tokens = new Tokens(keys, () => clock.now);
  await tokens.start();
  return { tokens, clock };
}

const signed = (claims: object | string, secret = SECRET): string =>
  rawToken({ alg: 'HS256' }, claims, secret);

let tokens: Tokens;
beforeAll(async () => {
  ({ tokens } = await verifier());
});

/** Asserts that a token is refused in these words. */
async function expectRefused(token: string, words: string, by = tokens): Promise<void> {
  await expect(by.identify(token)).rejects.toThrow(new TokenRefused(words));
}

const UNKNOWN_KEY = 'The token is not signed with a known key';
const ALGORITHM = 'The token is signed with an algorithm that no configured key uses';
const INVALID = 'The token is not a valid signed JSON Web Token';
const EXPIRED = 'The token has expired ("exp"); get a new one';
const LIST = 'must be a list of addresses, or of prefixes that end in "*"';
const RATE = 'must be messages a second: a number above 0, up to 1000000';
const MEMBERS = 'it takes sendAs, sendTo, read, presence, rate, metrics';

describe('a token', () => {
  test('a token has the identity of its claims, whichever secret signed it', async () => {
    for (const secret of [SECRET, OTHER_SECRET]) {
      expect(await tokens.identify(signed(GOOD, secret))).toMatchObject({
        client: 'alice',
        rate: undefined,
        metrics: false,
        expiresAt: (NOW + 1) * 1000,
        key: { isRevoked: false },
      });
    }
  });

  test.each([
    ['a secret that is not known', signed(GOOD, 'a third secret for tests, which is unknown'), UNKNOWN_KEY],
    ['no signature', `${segment({ alg: 'none' })}.${segment(GOOD)}.`, ALGORITHM],
    ['an algorithm of no configured key', rawToken({ alg: 'HS512' }, GOOD, SECRET), ALGORITHM],
    ['an algorithm of a key set, and there is none', rawToken({ alg: 'RS256' }, GOOD, SECRET), ALGORITHM],
    [
      'a header that is no JSON',
      `x.${segment(GOOD)}.${signature('HS256', `x.${segment(GOOD)}`, SECRET)}`,
      INVALID,
    ],
    ['two parts', signed(GOOD).split('.', 2).join('.'), INVALID],
    ['no parts', '', INVALID],
    ['claims that are a list', signed('[]'), INVALID],
    ['claims that are no JSON', signed('{'), INVALID],
    ['a critical header', rawToken({ alg: 'HS256', crit: ['x'], x: 1 }, GOOD, SECRET), INVALID],
  ])('a token with %s is refused', async (_what, token, words) => {
    await expectRefused(token, words);
  });

  test.each<[object, string]>([
    [{ exp: undefined }, 'The token\'s claim "exp" is missing'],
    [{ exp: '1800000001' }, 'The token\'s claim "exp" is not accepted'],
    [{ exp: null }, 'The token\'s claim "exp" is not accepted'],
    [{ exp: 8.7e12 }, 'The token\'s claim "exp" must be the time at which it expires, in seconds since 1970'],
    [{ exp: NOW }, EXPIRED],
    [{ exp: NOW - 3600 }, EXPIRED],
    [{ nbf: NOW + 6 }, 'The token\'s claim "nbf" is not accepted'],
    [{ nbf: 'x' }, 'The token\'s claim "nbf" is not accepted'],
    [{ sub: undefined }, 'The token\'s claim "sub" is missing'],
    [{ sub: 7 }, 'The token\'s claim "sub" must be a string: it is the address of the client'],
    [{ sub: '*' }, 'The token\'s claim "sub" must not contain "*": it is the address of the client'],
    [{ tidings: null }, 'The token\'s claim "tidings" must be an object'],
    [{ tidings: [] }, 'The token\'s claim "tidings" must be an object'],
    [{ tidings: '*' }, 'The token\'s claim "tidings" must be an object'],
    [{ tidings: { sendto: [] } }, `The token's claim "tidings" must not have "sendto"; ${MEMBERS}`],
    [
      { tidings: { read: [], toString: [] } },
      `The token's claim "tidings" must not have "toString"; ${MEMBERS}`,
    ],
    ...[0, -1, 1_000_001, '1', null, [1]].map((rate): [object, string] => [
      { tidings: { rate } },
      `The token's claim "tidings.rate" ${RATE}`,
    ]),
    ...['true', 1, null].map((metrics): [object, string] => [
      { tidings: { metrics } },
      'The token\'s claim "tidings.metrics" must be true or false',
    ]),
    ...['sendAs', 'sendTo', 'read', 'presence'].flatMap(
      (grant) =>
        [
          ...[null, '*', { 0: '*' }, [1], ['a', null]].map((list): [object, string] => [
            { tidings: { [grant]: list } },
            `The token's claim "tidings.${grant}" ${LIST}`,
          ]),
          ...['a*b', '**', '*a'].map((entry): [object, string] => [
            { tidings: { [grant]: ['a', entry] } },
            `The token's claim "tidings.${grant}" has an entry that is not an address: "${entry}" must not contain "*"`,
          ]),
          [
            { tidings: { [grant]: [' b*'] } },
            `The token's claim "tidings.${grant}" has an entry that is not an address: " b*" must not begin or end with white space`,
          ],
        ] as [object, string][],
    ),
  ])('a token with the claims %j is refused: %s', async (claims, words) => {
    await expectRefused(signed({ ...GOOD, ...claims }), words);
  });

  test('a token may be used five seconds before its nbf, since the clock of its issuer may be ahead', async () => {
    expect(await tokens.identify(signed({ ...GOOD, nbf: NOW + 5 }))).toMatchObject({ client: 'alice' });
  });

  test('a token that expires later is refused from that moment, which has no tolerance', async () => {
    const { tokens: own, clock } = await verifier();
    const identity = await own.identify(signed(GOOD));
    clock.now = (NOW + 1) * 1000 - 1;
    expect(() => own.recheck(identity)).not.toThrow();
    clock.now += 1;
    expect(() => own.recheck(identity)).toThrow(new TokenRefused(EXPIRED));
    await expectRefused(signed(GOOD), EXPIRED, own);
  });

  test('a token whose key was removed is refused', async () => {
    const { tokens: own } = await verifier();
    const identity = await own.identify(signed(GOOD));
    identity.key?.revoke();
    expect(() => own.recheck(identity)).toThrow(new TokenRefused(UNKNOWN_KEY));
  });

  test.each<[string, object, string]>([
    ['another issuer', { iss: `${ISSUER}/`, aud: AUDIENCE }, 'The token\'s claim "iss" is not accepted'],
    ['no issuer', { aud: AUDIENCE }, 'The token\'s claim "iss" is missing'],
    ['another audience', { iss: ISSUER, aud: ['other'] }, 'The token\'s claim "aud" is not accepted'],
    ['no audience', { iss: ISSUER }, 'The token\'s claim "aud" is missing'],
  ])('a token with %s is refused if both are asked for', async (_what, claims, words) => {
    const { tokens: own } = await verifier({ issuer: ISSUER, audience: AUDIENCE });
    await expectRefused(signed({ ...GOOD, ...claims }), words, own);
    const good = signed({ ...GOOD, iss: ISSUER, aud: ['other', AUDIENCE] });
    expect(await own.identify(good)).toMatchObject({ client: 'alice' });
  });
});

describe('an identity', () => {
  const allowed = (tidings?: object) => {
    const { sendAs, sendTo, read, presence, rate, metrics } = identityOf({ ...GOOD, tidings });
    return JSON.parse(JSON.stringify({ sendAs, sendTo, read, presence, rate, metrics })) as unknown;
  };
  const LEAST = { sendAs: ['alice'], sendTo: [], read: ['alice'], presence: ['alice'], metrics: false };

  test.each<[object | undefined, object]>([
    [undefined, {}],
    [{}, {}],
    [{ sendAs: ['bot'] }, { sendAs: ['bot'] }],
    [{ sendTo: ['*'] }, { sendTo: ['*'] }],
    [{ read: ['room-*', 'a', 'a'] }, { read: ['a', 'room-*'], presence: ['a', 'room-*'] }],
    [
      { read: [], presence: ['*'] },
      { read: [], presence: ['*'] },
    ],
    [
      { rate: 0.5, metrics: true },
      { rate: 0.5, metrics: true },
    ],
    [{ rate: 1_000_000, metrics: false }, { rate: 1_000_000 }],
  ])('an identity with the grants %j may do that, and no more than its own otherwise', (grants, more) => {
    expect(allowed(grants)).toEqual({ ...LEAST, ...more });
  });

  test('an identity ends at the whole millisecond before its exp', () => {
    expect(identityOf({ sub: 'alice', exp: 1.2345 }).expiresAt).toBe(1234);
    for (const exp of [0, -1, NaN, Infinity, '1', undefined]) {
      expect(() => identityOf({ sub: 'alice', exp })).toThrow(/^"exp" must be the time at which it expires/);
    }
  });
});
