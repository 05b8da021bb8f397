import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { cleanUp, Server } from '../support/server.ts';
import { AUDIENCE, bearer, claimsOf, ISSUER, rawToken, SECRET, secondsFromNow } from '../support/tokens.ts';

let server: Server;
let checking: Server;
beforeAll(async () => {
  server = await Server.start({ env: { AUTH_SECRET: SECRET } });
  checking = await Server.start({
    env: { AUTH_SECRET: SECRET, AUTH_ISSUER: ISSUER, AUTH_AUDIENCE: AUDIENCE },
  });
});
afterAll(cleanUp);

/** Returns the status of the answer to well signed claims: an object, or JSON as it is. */
async function statusOf(claims: object | string, where = server): Promise<number> {
  const token = rawToken({ alg: 'HS256' }, claims, SECRET);
  const answer = await request(`${where.url}/session`, { headers: bearer(token) });
  if (answer.status !== 200) expectProblem(answer, 401, []);
  return answer.status;
}

/** Good claims but for some; `undefined` leaves one out. */
const but = (changes: object) => ({ ...claimsOf('alice'), ...changes });
/** Good claims with a member whose value is JSON as it is. */
const withJson = (name: string, json: string) =>
  JSON.stringify(but({ [name]: undefined })).replace(/\}$/, `,${JSON.stringify(name)}:${json}}`);
const now = secondsFromNow(0);

test.each([
  ['exp is missing', but({ exp: undefined })],
  ['exp was a second ago', but({ exp: now - 1 })],
  ['exp was an hour ago', but({ exp: now - 3600 })],
  ['exp is a string', but({ exp: String(now + 600) })],
  ['exp is a date', but({ exp: '2099-01-01T00:00:00Z' })],
  ['exp is 0', but({ exp: 0 })],
  ['exp is negative', but({ exp: -now })],
  ['exp is 1e300', withJson('exp', '1e300')],
  ['exp is beyond what a date can be', withJson('exp', '8.7e12')],
  ['exp is beyond what a number can be', withJson('exp', '1e999')],
  ['exp is negative and beyond', withJson('exp', '-1e999')],
  ['exp is null', but({ exp: null })],
  ['exp is true', but({ exp: true })],
  ['exp is a list', but({ exp: [now + 600] })],
  ['exp is an object', but({ exp: { valueOf: now + 600 } })],
  ['exp is empty', but({ exp: '' })],
  ['nbf is to come', but({ nbf: now + 300 })],
  ['nbf is a string', but({ nbf: String(now) })],
  ['nbf is beyond', withJson('nbf', '1e999')],
  ['sub is missing', but({ sub: undefined })],
  ['sub is empty', but({ sub: '' })],
  ['sub is null', but({ sub: null })],
  ['sub is a number', but({ sub: 7 })],
  ['sub is true', but({ sub: true })],
  ['sub is a list', but({ sub: ['alice'] })],
  ['sub is an object', but({ sub: { toString: 'alice' } })],
  ['sub is everything', but({ sub: '*' })],
  ['sub is a prefix', but({ sub: 'a*' })],
  ['sub has a star in it', but({ sub: 'a*b' })],
  ['sub is kept for the system', but({ sub: '$x' })],
  ['sub begins with a space', but({ sub: ' alice' })],
  ['sub ends with a space', but({ sub: 'alice ' })],
  ['sub ends with a line end', but({ sub: 'alice\n' })],
  ['sub has a NUL', but({ sub: 'alice\0' })],
  ['sub has a zero-width joiner', but({ sub: 'ali\u200dce' })],
  ['sub has a right-to-left override', but({ sub: 'alice\u202e' })],
  ['sub is not NFC', but({ sub: 'e\u0301' })],
  ['sub is ill-formed', but({ sub: '\ud800' })],
  ['sub is of 129 code points', but({ sub: 'a'.repeat(129) })],
  ['the claims are a list', [but({})]],
  ['the claims are null', 'null'],
  ['the claims are a string', '"alice"'],
  ['the claims are a number', '1'],
  ['the claims are no JSON', '{"sub":"alice"'],
  ['the claims are empty', ''],
] as const)('a token is refused if %s', async (_what, claims) => {
  expect(await statusOf(claims)).toBe(401);
});

test.each<[string, string]>([
  ['is null', 'null'],
  ['is true', 'true'],
  ['is a string', '"*"'],
  ['is a number', '1'],
  ['is a list', '[]'],
  ['is a list of lists', '[{"read":["*"]}]'],
  ['has an unknown member', '{"write":["*"]}'],
  ['has a member in upper case', '{"Read":["*"]}'],
  ['has a member with a typo', '{"sendto":["bob"]}'],
  ['has a member of two words', '{"send_to":["bob"]}'],
  ['has a good and an unknown member', '{"read":["*"],"admin":true}'],
  ['has __proto__', '{"__proto__":{"read":["*"]}}'],
  ['has an empty __proto__', '{"__proto__":{}}'],
  ['has __proto__ of null', '{"__proto__":null}'],
  ['has constructor', '{"constructor":{"prototype":{"read":["*"]}}}'],
  ['has toString', '{"toString":["*"]}'],
  ['has hasOwnProperty', '{"hasOwnProperty":["*"]}'],
  ['has an empty member', '{"":["*"]}'],
  ['has a rate of 0', '{"rate":0}'],
  ['has a negative rate', '{"rate":-1}'],
  ['has a rate that is a string', '{"rate":"100"}'],
  ['has a rate of 1e9', '{"rate":1e9}'],
  ['has a rate beyond numbers', '{"rate":1e999}'],
  ['has a rate of null', '{"rate":null}'],
  ['has a rate in a list', '{"rate":[100]}'],
  ['has metrics as a string', '{"metrics":"true"}'],
  ['has metrics as a number', '{"metrics":1}'],
  ['has metrics as null', '{"metrics":null}'],
  ['has metrics as a list', '{"metrics":["*"]}'],
])('a token is refused if its claim tidings %s', async (_what, json) => {
  expect(await statusOf(withJson('tidings', json))).toBe(401);
});

describe.each(['sendAs', 'sendTo', 'read', 'presence'])('the member %s of the claim tidings', (name) => {
  test.each<[string, string]>([
    ['is null', 'null'],
    ['is true', 'true'],
    ['is an address and no list', '"alice"'],
    ['is * and no list', '"*"'],
    ['is an object', '{"0":"*","length":1}'],
    ['is a number', '1'],
    ['has a number', '["bob",1]'],
    ['has null', '[null]'],
    ['has a list', '[["*"]]'],
    ['has an object', '[{}]'],
    ['has a star in the middle', '["a*b"]'],
    ['has a star at the beginning', '["*a"]'],
    ['has two stars', '["**"]'],
    ['has two stars at the end', '["a**"]'],
    ['has a star in the middle and one at the end', '["a*b*"]'],
    ['has an empty address', '["bob",""]'],
    ['has an address of the system', '["$x"]'],
    ['has a prefix of the system', '["$*"]'],
    ['has an address that ends with a space', '["bob "]'],
    ['has a prefix that begins with a space', '[" b*"]'],
    ['has an address with a NUL', '["bob\\u0000"]'],
    ['has a prefix with a NUL', '["bob\\u0000*"]'],
    ['has an address that is not NFC', '["e\\u0301"]'],
    ['has an ill-formed prefix', '["\\ud800*"]'],
    ['has an address of 129 code points', JSON.stringify(['a'.repeat(129)])],
    ['has a regular expression', '["/.*/"]'],
  ])(`a token is refused if the list ${name} of its claim tidings %s`, async (_what, json) => {
    expect(await statusOf(withJson('tidings', `{"${name}":${json}}`))).toBe(401);
  });
});

test.each([
  ['exp is not whole', but({ exp: now + 600.5 })],
  ['exp is in a hundred years', but({ exp: now + 100 * 365 * 86400 })],
  ['nbf was a minute ago', but({ nbf: now - 60 })],
  ['there are claims of others', but({ scope: 'admin', jti: 'x', name: 'Alice', iat: now, roles: ['*'] })],
  ['iss and aud are of nobody, and none is asked for', but({ iss: 'x', aud: ['y', 'z'] })],
  ['iss and aud are missing, and none is asked for', but({ iss: undefined, aud: undefined })],
  ['sub is of other scripts', but({ sub: 'Ünïcode 漢字 🙂' })],
  ['sub is of 128 code points', but({ sub: '🙂'.repeat(128) })],
  ['sub is the name of a property of objects', but({ sub: '__proto__' })],
  ['sub has a $ later', but({ sub: 'a$' })],
  ['tidings is empty', but({ tidings: {} })],
  ['lists are empty', but({ tidings: { read: [], sendAs: [], sendTo: [], presence: [] } })],
  [
    'lists have addresses and prefixes',
    but({ tidings: { read: ['bob', 'room-*', '*'], sendTo: ['toString', '漢*'] } }),
  ],
  ['rate and metrics are given', but({ tidings: { rate: 1, metrics: true } })],
])('a token is accepted if %s', async (_what, claims) => {
  expect(await statusOf(claims)).toBe(200);
});

describe('a service that expects an issuer and an audience', () => {
  test.each<[string, object, number]>([
    ['both are right', {}, 200],
    ['the audience is one of several', { aud: ['other', AUDIENCE] }, 200],
    ['the issuer is missing', { iss: undefined }, 401],
    ['the issuer is another', { iss: `${ISSUER}.evil.example` }, 401],
    ['the issuer has a slash more', { iss: `${ISSUER}/` }, 401],
    ['the issuer is in upper case', { iss: ISSUER.toUpperCase() }, 401],
    ['the issuer is a list', { iss: [ISSUER] }, 401],
    ['the issuer is empty', { iss: '' }, 401],
    ['the issuer is null', { iss: null }, 401],
    ['the audience is missing', { aud: undefined }, 401],
    ['the audience is another', { aud: `${AUDIENCE}2` }, 401],
    ['the audience is empty', { aud: '' }, 401],
    ['the audience is an empty list', { aud: [] }, 401],
    ['the audience is a list of others', { aud: ['other'] }, 401],
    ['the audience is an object', { aud: { 0: AUDIENCE } }, 401],
    ['issuer and audience are exchanged', { iss: AUDIENCE, aud: ISSUER }, 401],
  ])('a token is judged by its issuer and audience: %s', async (_what, changes, status) => {
    expect(await statusOf(but(changes), checking)).toBe(status);
  });
});

test('the answer to a refused token does not repeat its claims', async () => {
  const token = rawToken({ alg: 'HS256' }, but({ exp: now - 5, sub: 'secret-name' }), SECRET);
  const answer = await request(`${server.url}/session`, { headers: bearer(token) });
  expectProblem(answer, 401, []);
  expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer\b/);
  expect(JSON.stringify([answer.body, ...answer.headers])).not.toContain('secret-name');
});
