import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { type Config, readConfig, unknownVariables } from '../../src/config/config.ts';
import { newVapidKeys } from '../../src/push/vapid.ts';
import { StartError, UsageError } from '../../src/start-error.ts';
import { cleanUp, newFolder } from '../support/server.ts';

afterAll(cleanUp);

const SECRET = 'a secret for tests, which is long enough';
const KEY = { AUTH_SECRET: SECRET };
const KEY_SET = { AUTH_JWKS: '/keys.json', AUTH_ISSUER: 'https://id', AUTH_AUDIENCE: 'tidings' };
const OPEN_FILES = 1024;

const configOf = (environment: Record<string, string>, ...args: string[]): Config =>
  readConfig(environment, args, OPEN_FILES);

test('without any variable the configuration has the documented defaults', () => {
  const { pushHosts, ...config } = configOf({});
  expect(pushHosts.read('https://fcm.googleapis.com/x')).toMatchObject({ service: 'fcm.googleapis.com' });
  expect(config).toEqual({
    port: 7070,
    host: '127.0.0.1',
    publicUrl: undefined,
    basePath: '',
    database: resolve('data/tidings.sqlite'),
    retentionDays: 0,
    retentionMessages: 0,
    retentionClock: 'checked',
    upgradeCopy: 'kept',
    heartbeatSeconds: 15,
    maxStreams: OPEN_FILES - 64 - 192,
    maxStreamsPerClient: 100,
    maxConnections: OPEN_FILES - 64,
    publishRate: 0,
    trustProxy: false,
    logLevel: 'info',
    corsOrigins: [],
    pushDelaySeconds: 10,
    vapidKeys: undefined,
    vapidSubject: 'mailto:tidings@localhost',
    auth: undefined,
    nats: undefined,
  });
  expect(Object.isFrozen(configOf({}))).toBe(true);
});

describe('a variable', () => {
  const whole = (min: number, max: number) => `must be a whole number from ${min} to ${max}`;
  test.each<[string, keyof Config, [string, unknown][], string, string[]]>([
    [
      'PORT',
      'port',
      [
        ['0', 0],
        ['65535', 65_535],
      ],
      whole(0, 65_535),
      ['-1', '65536', '80.5', 'x', '0x50', '1e3'],
    ],
    ['RETENTION_DAYS', 'retentionDays', [['36500', 36_500]], whole(0, 36_500), ['-1', '1.5', '36501', 'x']],
    [
      'RETENTION_MESSAGES',
      'retentionMessages',
      [['1000000000', 1e9]],
      whole(0, 1e9),
      ['-1', '1.5', '1000000001', 'all'],
    ],
    [
      'HEARTBEAT_SECONDS',
      'heartbeatSeconds',
      [
        ['1', 1],
        ['3600', 3600],
      ],
      whole(1, 3600),
      ['0', '-1', '1.5', '3601', 'x'],
    ],
    [
      'PUSH_DELAY_SECONDS',
      'pushDelaySeconds',
      [
        ['0', 0],
        ['3600', 3600],
      ],
      whole(0, 3600),
      ['-1', '1.5', '3601', 'x'],
    ],
    [
      'MAX_STREAMS',
      'maxStreams',
      [
        ['1', 1],
        ['768', 768],
      ],
      whole(1, 100_000),
      ['0', '-1', '1.5', '100001', 'x'],
    ],
    ['MAX_STREAMS_PER_CLIENT', 'maxStreamsPerClient', [['1', 1]], whole(1, 100_000), ['0', '100001', 'x']],
    [
      'PUBLISH_RATE',
      'publishRate',
      [
        ['0', 0],
        ['1000000', 1e6],
      ],
      whole(0, 1_000_000),
      ['-1', '1000001', 'x'],
    ],
    [
      'RETENTION_CLOCK',
      'retentionClock',
      [['trusted', 'trusted']],
      'must be checked or trusted',
      ['right', 'true'],
    ],
    ['UPGRADE_COPY', 'upgradeCopy', [['none', 'none']], 'must be kept or none', ['true', 'no']],
    [
      'HOST',
      'host',
      [
        ['::1', '::1'],
        ['[::1]', '::1'],
        ['localhost', 'localhost'],
        ['127.1.2.3', '127.1.2.3'],
      ],
      'must be an IP address or a host name, such as 127.0.0.1 or 0.0.0.0',
      ['a b', '-a', 'a-', 'a_b', '127.0.0.1:80'],
    ],
    [
      'PUBLIC_URL',
      'publicUrl',
      [
        ['http://a', new URL('http://a/')],
        ['https://a:8443/b/c//', new URL('https://a:8443/b/c')],
      ],
      'must be an http or https URL without a query, such as https://push.example.org/tidings',
      ['push.example.org', 'ftp://a', 'https://', 'https://a/?b=c', 'https://a/#b', 'https://u@a/', '/base'],
    ],
    [
      'TRUST_PROXY',
      'trustProxy',
      [
        ['false', false],
        ['true', true],
        ['0', 0],
        ['2', 2],
        ['loopback, 10.0.0.0/8', 'loopback, 10.0.0.0/8'],
      ],
      'must be true, false, a number of proxies up to 999, or a list of addresses and subnets',
      ['1000', '10.0.0.1, 2', '10/8', '0x7f000001', '-1', 'everyone', '10.0.0.0/33', '1.2.3'],
    ],
    [
      'LOG_LEVEL',
      'logLevel',
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map((level) => [level, level]),
      'must be one of fatal, error, warn, info, debug, trace, silent',
      ['loud', 'INFO', '30'],
    ],
    [
      'VAPID_SUBJECT',
      'vapidSubject',
      [
        ['mailto:a@b', 'mailto:a@b'],
        ['https://a.example/x', 'https://a.example/x'],
      ],
      'must be a mailto: address or an https: URL, such as mailto:operator@example.org',
      ['operator@example.org', 'mailto:', 'mailto:x', 'http://example.org', 'https://'],
    ],
  ])('%s is read, and refused with its rule', (name, key, good, rule, bad) => {
    for (const [text, value] of good) expect([text, configOf({ [name]: text })[key]]).toEqual([text, value]);
    for (const text of bad) {
      expect(() => configOf({ [name]: text })).toThrow(new StartError(`${name} ${rule}, not "${text}".`));
    }
  });

  test('MAX_STREAMS is bounded by the limit on open files', () => {
    expect(() => configOf({ MAX_STREAMS: '769' })).toThrow(
      'MAX_STREAMS must be at most 768: this process may open 1024 files; raise that limit (ulimit -n), not "769".',
    );
    expect(readConfig({}, [], Infinity).maxStreams).toBe(100_000);
    expect(readConfig({}, [], 10)).toMatchObject({ maxStreams: 1, maxConnections: 1 });
  });

  test.each(['*', 'localhost', '127.0.0.1', 'https://push.example.org', 'push.example.org:443'])(
    'PUSH_HOSTS is refused with the entry %s',
    (entry) => {
      expect(() => configOf({ PUSH_HOSTS: `push.example.org ${entry}` })).toThrow(/^PUSH_HOSTS .*must/);
    },
  );

  test('PUSH_HOSTS is a list of hosts, separated by commas or white space', () => {
    const { pushHosts } = configOf({ PUSH_HOSTS: ' a.example.org,\n*.b.example.org ' });
    expect(pushHosts.read('https://a.example.org/x')).toMatchObject({ service: 'a.example.org' });
    expect(pushHosts.read('https://x.b.example.org/x')).toMatchObject({ service: '*.b.example.org' });
    expect(pushHosts.read('https://fcm.googleapis.com/x')).toMatch(/^must /);
  });

  test('DATABASE becomes an absolute path', () => {
    expect(configOf({ DATABASE: 'a/../b' }).database).toBe(resolve('b'));
    expect(() => configOf({ DATABASE: 'a\0b' })).toThrow('DATABASE must be a path');
  });

  test('a variable that is empty counts as not set', () => {
    expect(configOf({ PORT: '', HOST: '', AUTH_SECRET: '' })).toMatchObject({ port: 7070, auth: undefined });
  });

  test('a refusal repeats a variable only in part, and a secret not at all', () => {
    expect(() => configOf({ LOG_LEVEL: 'x'.repeat(200) })).toThrow(new RegExp(`not "x{100}"\\.$`));
    expect(() => configOf({ AUTH_SECRET: 'short' })).toThrow(
      new StartError(
        'AUTH_SECRET must have 32 bytes or more (it has 5): make one with "openssl rand -base64 32".',
      ),
    );
  });

  test('a variable that is unknown and near to a known one is found', () => {
    const names = { PUSH_DELAY: '5', HOSTNAME: 'x', NODE_ENV: 'production', PORT: '1' };
    expect(unknownVariables(names)).toEqual([{ name: 'PUSH_DELAY', nearest: 'PUSH_DELAY_SECONDS' }]);
  });
});

describe('a key', () => {
  const file = join(newFolder(), 'secret');
  writeFileSync(file, `${SECRET}\n`);
  const secretsOf = ({ auth }: Config) => auth?.secrets?.list.map((one) => Buffer.from(one).toString());

  test('a key for tokens is a secret, a file of secrets or a key set, and raises the rate of publishes to 100', () => {
    expect(secretsOf(configOf(KEY))).toEqual([SECRET]);
    expect(configOf(KEY)).toMatchObject({ publishRate: 100, auth: { secrets: { file: undefined } } });
    expect(secretsOf(configOf({ AUTH_SECRET_FILE: file }))).toEqual([SECRET]);
    expect(configOf({ AUTH_SECRET_FILE: file }).auth?.secrets?.file).toBe(file);
    expect(configOf({ ...KEY_SET, PUBLISH_RATE: '5' })).toMatchObject({
      publishRate: 5,
      auth: { secrets: undefined, keySource: '/keys.json', issuer: 'https://id', audience: 'tidings' },
    });
    expect(configOf({ ...KEY_SET, AUTH_JWKS: 'https://id/keys' }).auth?.keySource).toEqual(
      new URL('https://id/keys'),
    );
  });

  test('a key for tokens may be 32 bytes long, and may have an issuer', () => {
    const { auth } = configOf({ ...KEY_SET, AUTH_JWKS: '', AUTH_SECRET: 'x'.repeat(32) });
    expect(auth).toMatchObject({ keySource: undefined, issuer: 'https://id', audience: 'tidings' });
    expect(() => configOf({ AUTH_SECRET: 'x'.repeat(31) })).toThrow(
      /^AUTH_SECRET must have 32 bytes or more/,
    );
    expect(configOf({ PUBLISH_RATE: '5' })).toMatchObject({ auth: undefined, publishRate: 5 });
  });

  test('a key for tokens lets in other machines and pages of other sites', () => {
    const origins = { CORS_ORIGINS: 'https://a.example, http://localhost:3000' };
    expect(configOf({ ...KEY, ...origins, HOST: '0.0.0.0' })).toMatchObject({
      host: '0.0.0.0',
      corsOrigins: ['https://a.example', 'http://localhost:3000'],
    });
  });

  test.each<[string, Record<string, string>, string | RegExp]>([
    [
      'two sources of secrets',
      { ...KEY, AUTH_SECRET_FILE: file },
      'AUTH_SECRET and AUTH_SECRET_FILE are both set. Set one.',
    ],
    [
      'a file that is not there',
      { AUTH_SECRET_FILE: '/nowhere/s' },
      /^AUTH_SECRET_FILE cannot be read \(ENOENT/,
    ],
    [
      'a key set without an issuer',
      { ...KEY_SET, AUTH_ISSUER: '' },
      'AUTH_JWKS needs AUTH_ISSUER and AUTH_AUDIENCE: its issuer makes tokens for other services too.',
    ],
    [
      'a key set without an audience',
      { ...KEY_SET, AUTH_AUDIENCE: '' },
      /^AUTH_JWKS needs AUTH_ISSUER and AUTH/,
    ],
    [
      'a key set over plain http',
      { ...KEY_SET, AUTH_JWKS: 'http://id/k' },
      /^AUTH_JWKS must be a file or an https URL/,
    ],
    [
      'a key set with a user',
      { ...KEY_SET, AUTH_JWKS: 'https://u@id/k' },
      /^AUTH_JWKS must be a file or an https URL/,
    ],
    ...[{ AUTH_ISSUER: 'x' }, { AUTH_AUDIENCE: 'x' }, { CORS_ORIGINS: 'https://a.example' }].map(
      (env): [string, Record<string, string>, string] => [
        `${Object.keys(env).join()} without a key`,
        env as Record<string, string>,
        'AUTH_ISSUER, AUTH_AUDIENCE and CORS_ORIGINS need a key: set AUTH_SECRET or AUTH_JWKS as well.',
      ],
    ),
    ...['0.0.0.0', '::', '192.168.1.1', '128.0.0.1', '127.0.0.1.example.org', 'example.org'].map(
      (HOST): [string, Record<string, string>, string] => [
        `HOST=${HOST} without a key`,
        { HOST },
        `HOST must be loopback (127.0.0.1, ::1 or localhost) if no key is configured, not "${HOST}": everybody may do everything. ` +
          'Set AUTH_SECRET (32 bytes or more) or AUTH_JWKS to let others in with tokens.',
      ],
    ),
    ...['*', 'https://a.example/', 'https://*.example', 'a.example', 'ftp://a.example', 'null'].map(
      (origin): [string, Record<string, string>, string] => [
        `the origin ${origin}`,
        { ...KEY, CORS_ORIGINS: origin },
        `CORS_ORIGINS must be a list of exact origins, such as https://app.example.org, without a path or a "*", not "${origin}".`,
      ],
    ),
  ])('a key for tokens is refused: %s', (_what, environment, words) => {
    expect(() => configOf(environment)).toThrow(StartError);
    expect(() => configOf(environment)).toThrow(words instanceof RegExp ? words : new StartError(words));
  });
});

describe('what one variable says of another', () => {
  test('the paths and the contact for push services come from PUBLIC_URL', () => {
    expect(configOf({ PUBLIC_URL: 'https://a.example/push/' })).toMatchObject({
      basePath: '/push',
      vapidSubject: 'https://a.example/push',
    });
    expect(configOf({ PUBLIC_URL: 'http://a.example' })).toMatchObject({
      basePath: '',
      vapidSubject: 'mailto:tidings@localhost',
    });
  });

  test('both halves of a key pair for notifications are needed, and must fit', () => {
    const [one, other] = [newVapidKeys(), newVapidKeys()];
    const pair = { VAPID_PUBLIC_KEY: one.publicKey, VAPID_PRIVATE_KEY: one.privateKey };
    expect(configOf(pair).vapidKeys).toMatchObject(one);
    for (const broken of [
      { VAPID_PUBLIC_KEY: '' },
      { VAPID_PRIVATE_KEY: '' },
      { VAPID_PRIVATE_KEY: other.privateKey },
    ]) {
      expect(() => configOf({ ...pair, ...broken })).toThrow(/VAPID_/);
    }
  });
});

describe('a flag', () => {
  test('a flag counts before its variable, written either way', () => {
    const environment = { PORT: '1', MAX_STREAMS: '1' };
    expect(configOf(environment, '--port=2', '--max-streams', '3')).toMatchObject({ port: 2, maxStreams: 3 });
  });

  test.each([
    '--port=65536',
    '--public-url=x',
    '--retention-days=-1',
    '--retention-messages=x',
    '--heartbeat-seconds=0',
    '--max-streams=0',
    '--trust-proxy=x',
    '--log-level=x',
  ])('a flag that breaks a rule is named as it was written: %s', (flag) => {
    const [name = '', value] = flag.split('=');
    expect(() => configOf({}, flag)).toThrow(new RegExp(`^${name} must .*, not "${value}"\\.$`));
  });

  test.each([
    ['--prot=1'],
    ['--PORT=0'],
    ['--auth-secret=x'],
    ['--vapid-private-key=x'],
    ['--port'],
    ['now'],
  ])('the arguments %s are refused, with a list of the flags', (...args) => {
    expect(() => configOf({}, ...args)).toThrow(UsageError);
    expect(() => configOf({}, ...args)).toThrow(/The flags are --port, --host, /);
    expect(() => configOf({}, ...args)).not.toThrow(/The flags are.*--auth-secret(?!-)/);
  });
});
