import { hostname } from 'node:os';
import { expect, test } from '@jest/globals';
import { readConfig } from '../../src/config/config.ts';
import type { NatsConfig } from '../../src/config/nats.ts';
import { addressOf } from '../../src/config/nats-url.ts';
import { usage } from '../../src/config/usage.ts';
import { StartError } from '../../src/start-error.ts';

type Variables = Readonly<Record<string, string>>;

/** A password, a token and a seed that no line may repeat. */
const PASSWORD = 'hunter2-hunter2';
const SEED = `SU${'A'.repeat(56)}`;

const URL = { NATS_URL: 'nats://a.example' };

function natsOf(environment: Variables, args: readonly string[] = []): NatsConfig {
  const { nats } = readConfig(environment, args, 1024);
  if (nats === undefined) throw new Error('NATS is not configured');
  return nats;
}

/** Returns the line that a start with these variables ends with. */
function lineOf(environment: Variables, args: readonly string[] = []): string {
  try {
    readConfig(environment, args, 1024);
  } catch (error) {
    if (error instanceof StartError) return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

test('a configuration without NATS_URL has one node', () => {
  expect(readConfig({}, [], 1024).nats).toBeUndefined();
  expect(readConfig({ NATS_URL: '' }, [], 1024).nats).toBeUndefined();
});

test('NATS_URL alone is enough for a cluster', () => {
  expect(natsOf({ NATS_URL: 'nats://a.example', PORT: '8080' })).toEqual({
    servers: [{ host: 'a.example', port: 4222 }],
    tls: undefined,
    signIn: undefined,
    stream: 'tidings',
    nodeName: `${hostname()}:8080`,
    monitorUrls: [],
  });
});

test.each([
  ['nats://a.example', ['a.example:4222']],
  ['nats://a.example/', ['a.example:4222']],
  ['NATS://A.Example:4333', ['a.example:4333']],
  ['nats://a:1,nats://b:65535', ['a:1', 'b:65535']],
  ['  nats://a ,\n nats://b nats://c,', ['a:4222', 'b:4222', 'c:4222']],
  ['nats://a,nats://a:4222,nats://b', ['a:4222', 'b:4222']],
  ['nats://127.0.0.1:14222', ['127.0.0.1:14222']],
  ['nats://[::1]', ['[::1]:4222']],
  ['nats://[2001:db8::7]:14222', ['[2001:db8::7]:14222']],
  ['nats://my_nats-1', ['my_nats-1:4222']],
  ['nats://nats.default.svc.cluster.local.:4222', ['nats.default.svc.cluster.local.:4222']],
])('NATS_URL=%j names its servers', (text, addresses) => {
  expect(natsOf({ NATS_URL: text }).servers.map(addressOf)).toEqual(addresses);
});

test.each([
  ['nats://app:secret@a', { user: 'app', password: { text: 'secret' } }],
  ['nats://app:se%40c%3Ar%2Fe%25t%20@a', { user: 'app', password: { text: 'se@c:r/e%t ' } }],
  ['nats://%C3%A9:p@a', { user: 'é', password: { text: 'p' } }],
  ['nats://app:p@ss@a', { user: 'app', password: { text: 'p@ss' } }],
  ['nats://t0ken@a', { token: { text: 't0ken' } }],
  ['nats://app:secret@a,nats://b', { user: 'app', password: { text: 'secret' } }],
  ['nats://app:secret@a,nats://app:secret@b', { user: 'app', password: { text: 'secret' } }],
])('NATS_URL=%j signs in', (text, signIn) => {
  expect(natsOf({ NATS_URL: text }).signIn).toEqual({ variable: 'NATS_URL', ...signIn });
});

test.each([
  ['a.example:4222', 'must be nats:// or tls://'],
  ['http://a.example', 'must be nats:// or tls://'],
  ['ws://a.example', 'must be nats:// or tls://'],
  ['nats:a.example', 'must be nats:// or tls://'],
  ['nats://', 'must be nats:// or tls://'],
  ['nats://:4222', 'must be nats:// or tls://'],
  [',', 'it names no server'],
  ['nats://a:', 'must be nats:// or tls://'],
  ['nats://a:x', 'must be nats:// or tls://'],
  ['nats://a:0', 'must have a port from 1 to 65535'],
  ['nats://a:65536', 'must have a port from 1 to 65535'],
  ['nats://a:123456', 'must be nats:// or tls://'],
  ['nats://a/stream', 'must be nats:// or tls://'],
  ['nats://a?tls=true', 'must be nats:// or tls://'],
  ['nats://a#x', 'must be nats:// or tls://'],
  ['nats://256.0.0.1', 'must be nats:// or tls://'],
  ['nats://1.2.3', 'must be nats:// or tls://'],
  ['nats://::1', 'must be nats:// or tls://'],
  ['nats://[::1', 'must be nats:// or tls://'],
  ['nats://[127.0.0.1]', 'must be nats:// or tls://'],
  ['nats://[fe80::1%eth0]', 'must be nats:// or tls://'],
  ['nats://-a', 'must be nats:// or tls://'],
  ['nats://bücher.example', 'must be nats:// or tls://'],
  ['nats://a\uFFFD', 'must be nats:// or tls://'],
  ['nats://*', 'must be nats:// or tls://'],
  ['nats://a,tls://b', 'must have one scheme for all servers'],
  ['nats://a,nats://b:0,nats://c', 'see server 2 of the list'],
  [`nats://app:${PASSWORD}@`, '%2F'],
  [`nats://app:${PASSWORD}/@a`, '%2F'],
  [`nats://app:${PASSWORD}#@a`, '%23'],
  [`nats://app:${PASSWORD}?@a`, '%3F'],
  [`nats://app:${PASSWORD},x@a`, '%2C'],
  [`nats://app:${PASSWORD}:x@a`, '%3A'],
  [`nats://app:${PASSWORD}%@a`, 'percent-encoded UTF-8'],
  [`nats://app:${PASSWORD}%FF@a`, 'percent-encoded UTF-8'],
  [`nats://app:${PASSWORD}%00@a`, 'percent-encoded UTF-8'],
  [`nats://app:${PASSWORD}\uFFFD@a`, 'percent-encoded UTF-8'],
  ['nats://@a', 'must have user:password or a token before the "@"'],
  ['nats://app:@a', 'must have user:password or a token before the "@"'],
  [`nats://:${PASSWORD}@a`, 'must have user:password or a token before the "@"'],
  [`nats://app:${PASSWORD}@a,nats://app:other@b`, 'must have one user and password, or token'],
  [`nats://app:${PASSWORD}@a,nats://app@b`, 'must have one user and password, or token'],
])('NATS_URL=%j ends the start', (text, rule) => {
  const line = lineOf({ NATS_URL: text });
  expect(line).toMatch(/^NATS_URL must .*\.$/);
  expect(line).toContain(rule);
  expect(line).not.toContain(PASSWORD);
});

test('NATS_URL has no flag, because it may have a password', () => {
  expect(lineOf({}, ['--nats-url', `nats://app:${PASSWORD}@a`])).toMatch(/^Unknown option '--nats-url'/);
});

test.each<[string, Variables, unknown]>([
  ['a file of credentials', { NATS_CREDS: '/c' }, { variable: 'NATS_CREDS', file: '/c' }],
  ['a file with a seed', { NATS_NKEY: '/n' }, { variable: 'NATS_NKEY', file: '/n' }],
  [
    'a user and a password',
    { NATS_USER: 'app', NATS_PASSWORD: 'p' },
    { variable: 'NATS_USER', user: 'app', password: { text: 'p' } },
  ],
  [
    'a user and a file with the password',
    { NATS_USER: 'app', NATS_PASSWORD_FILE: '/p' },
    { variable: 'NATS_USER', user: 'app', password: { file: '/p' } },
  ],
  ['a token', { NATS_TOKEN: 't' }, { variable: 'NATS_TOKEN', token: { text: 't' } }],
  ['a file with a token', { NATS_TOKEN_FILE: '/t' }, { variable: 'NATS_TOKEN', token: { file: '/t' } }],
])('a node signs in by %s', (_what, variables, signIn) => {
  expect(natsOf({ ...URL, ...variables }).signIn).toEqual(signIn);
});

/** Two ways to sign in, for each pair of ways. */
const WAYS: readonly Variables[] = [
  { NATS_URL: `nats://app:${PASSWORD}@a` },
  { NATS_CREDS: '/c' },
  { NATS_NKEY: '/n' },
  { NATS_USER: 'app', NATS_PASSWORD: PASSWORD },
  { NATS_TOKEN: PASSWORD },
];
const PAIRS = WAYS.flatMap((way, index) => WAYS.slice(index + 1).map((other) => [way, other] as const));

test.each(PAIRS)('%j and %j end the start, because they are two ways to sign in', (way, other) => {
  const line = lineOf({ ...URL, ...way, ...other });
  for (const variables of [way, other]) expect(line).toContain(Object.keys(variables)[0]);
  expect(line).toContain('are two ways to sign in to NATS. Set one.');
  expect(line).not.toContain(PASSWORD);
});

test.each<[Variables, string]>([
  [{ NATS_USER: 'app' }, 'NATS_USER needs NATS_PASSWORD or NATS_PASSWORD_FILE'],
  [{ NATS_PASSWORD: PASSWORD }, 'NATS_PASSWORD and NATS_PASSWORD_FILE need NATS_USER'],
  [{ NATS_PASSWORD_FILE: '/p' }, 'NATS_PASSWORD and NATS_PASSWORD_FILE need NATS_USER'],
  [
    { NATS_USER: 'app', NATS_PASSWORD: PASSWORD, NATS_PASSWORD_FILE: '/p' },
    'NATS_PASSWORD and NATS_PASSWORD_FILE are both set',
  ],
  [{ NATS_TOKEN: PASSWORD, NATS_TOKEN_FILE: '/t' }, 'NATS_TOKEN and NATS_TOKEN_FILE are both set'],
  [{ NATS_CERT: '/c' }, 'NATS_CERT and NATS_KEY need each other'],
  [{ NATS_KEY: '/k' }, 'NATS_CERT and NATS_KEY need each other'],
])('the variables %j end the start', (variables, rule) => {
  const line = lineOf({ ...URL, ...variables });
  expect(line).toContain(rule);
  expect(line).not.toContain(PASSWORD);
});

test.each([
  ['NATS_CREDS', '/c'],
  ['NATS_NKEY', '/n'],
  ['NATS_USER', 'app'],
  ['NATS_PASSWORD', PASSWORD],
  ['NATS_PASSWORD_FILE', '/p'],
  ['NATS_TOKEN', PASSWORD],
  ['NATS_TOKEN_FILE', '/t'],
  ['NATS_CA', '/a'],
  ['NATS_CERT', '/c'],
  ['NATS_KEY', '/k'],
  ['NATS_STREAM', 'other'],
  ['NATS_MONITOR_URL', 'http://a.example:8222'],
])('%s without NATS_URL ends the start: the node would be alone', (name, value) => {
  const line = lineOf({ [name]: value });
  expect(line).toContain(`${name} is set without NATS_URL`);
  expect(line).not.toContain(PASSWORD);
});

test('NODE_NAME without NATS_URL is ignored: platforms set it for other reasons', () => {
  expect(readConfig({ NODE_NAME: 'node-7' }, [], 1024).nats).toBeUndefined();
});

test.each<[string, Variables, unknown]>([
  ['nats://a', {}, undefined],
  ['tls://a', {}, { ca: undefined, cert: undefined, key: undefined }],
  ['tls://a', { NATS_CA: '/ca' }, { ca: '/ca', cert: undefined, key: undefined }],
  ['nats://a', { NATS_CA: '/ca' }, { ca: '/ca', cert: undefined, key: undefined }],
  ['nats://a', { NATS_CERT: '/c', NATS_KEY: '/k' }, { ca: undefined, cert: '/c', key: '/k' }],
])('%s with %j decides whether TLS is needed', (url, variables, tls) => {
  expect(natsOf({ NATS_URL: url, ...variables }).tls).toEqual(tls);
});

test.each([
  'NATS_CREDS',
  'NATS_NKEY',
  'NATS_PASSWORD_FILE',
  'NATS_TOKEN_FILE',
  'NATS_CA',
  'NATS_CERT',
  'NATS_KEY',
])('a line about %s never repeats what was pasted in place of its path', (name) => {
  const pasted = [
    SEED,
    ` ${SEED}`,
    `-----BEGIN PRIVATE KEY-----\n${PASSWORD}\n-----END PRIVATE KEY-----`,
    `-----BEGIN PRIVATE KEY-----\n${PASSWORD}\n-----END PRIVATE KEY-----\n`,
    `eyJ0eXAiOiJKV1QifQ.${PASSWORD}`,
    `${PASSWORD}\n`,
    `${PASSWORD}\0`,
  ];
  const flag = `--${name.toLowerCase().replaceAll('_', '-')}`;
  for (const value of pasted) {
    for (const line of [lineOf({ ...URL, [name]: value }), lineOf(URL, [`${flag}=${value}`])]) {
      expect(line).toMatch(new RegExp(`^(${name}|${flag}) must `));
      expect(line).not.toContain(PASSWORD);
      expect(line).not.toContain(SEED);
    }
  }
});

test.each(['t', 'tidings', 'Team-7_push', 'x'.repeat(32)])('NATS_STREAM=%s is accepted', (stream) => {
  expect(natsOf({ ...URL, NATS_STREAM: stream }).stream).toBe(stream);
});

test.each(['x'.repeat(33), 'a.b', 'a b', 'a*', '>', 'é', 'a/b', '$JS'])(
  'NATS_STREAM=%j ends the start: it begins the names of streams, buckets and subjects',
  (stream) => {
    expect(lineOf({ ...URL, NATS_STREAM: stream })).toMatch(
      /^NATS_STREAM must be 1 to 32 characters from .*, not "/,
    );
  },
);

test.each(['a', 'node 7', 'Zürich/2', '東京', 'x'.repeat(64)])('NODE_NAME=%s is accepted', (name) => {
  expect(natsOf({ ...URL, NODE_NAME: name }).nodeName).toBe(name);
});

test.each(['x'.repeat(65), 'a\nb', 'a\tb', 'a\u200bb', 'a\u2028b', 'a\u0000', 'a\uFFFD'])(
  'NODE_NAME=%j ends the start',
  (name) => {
    expect(lineOf({ ...URL, NODE_NAME: name })).toMatch(/^NODE_NAME must /);
  },
);

test('the name of a node is never longer than 64 characters', () => {
  expect(natsOf({ ...URL, PORT: '65535' }).nodeName.length).toBeLessThanOrEqual(64);
});

test.each([
  ['http://a:8222', ['http://a:8222']],
  ['http://a:8222/', ['http://a:8222']],
  ['https://a/nats/, http://b:8222\n', ['https://a/nats', 'http://b:8222']],
  ['http://[::1]:8222', ['http://[::1]:8222']],
])('NATS_MONITOR_URL=%j names monitoring ports', (text, urls) => {
  expect(natsOf({ ...URL, NATS_MONITOR_URL: text }).monitorUrls).toEqual(urls);
});

test.each([
  'a:8222',
  'nats://a:8222',
  'http://',
  'http://a:x',
  'http://a/?x=1',
  'http://a/#x',
  `http://app:${PASSWORD}@a:8222`,
  `http://${PASSWORD}@a:8222`,
])('NATS_MONITOR_URL=%j ends the start', (text) => {
  const line = lineOf({ ...URL, NATS_MONITOR_URL: text });
  expect(line).toMatch(/^NATS_MONITOR_URL must /);
  expect(line).not.toContain(PASSWORD);
});

test('--help has the variables of NATS, with flags for those that are not secret', () => {
  const help = usage(1024);
  for (const name of ['NATS_URL', 'NATS_PASSWORD', 'NATS_TOKEN']) {
    expect(help).toMatch(new RegExp(`^ {4,}${name} `, 'm'));
  }
  for (const name of [
    'NATS_CREDS',
    'NATS_NKEY',
    'NATS_USER',
    'NATS_PASSWORD_FILE',
    'NATS_STREAM',
    'NODE_NAME',
  ]) {
    expect(help).toMatch(new RegExp(`^ {2}--${name.toLowerCase().replaceAll('_', '-')} +${name} `, 'm'));
  }
});

test('the configuration has nothing of NATS outside of its own part', () => {
  const config = readConfig({ NATS_URL: `nats://app:${PASSWORD}@a` }, [], 1024);
  expect(Object.keys(config).filter((key) => /nats|node/i.test(key))).toEqual(['nats']);
});
