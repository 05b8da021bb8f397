import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as nats from '@nats-io/transport-node';
import { afterAll, expect, test } from '@jest/globals';
import { authenticatorOf } from '../../src/cluster/sign-in.ts';
import { tlsOf } from '../../src/cluster/tls.ts';
import type { NatsSignIn } from '../../src/config/nats.ts';
import { StartError } from '../../src/start-error.ts';
import { CertificateAuthority } from '../support/certificate.ts';
import { KeptLog, natsConfigOf } from '../support/nats-link.ts';
import { cleanUp, newFolder } from '../support/server.ts';

afterAll(cleanUp);

const NONCE = 'a nonce of the server';
const JWT = `eyJ0eXAiOiJKV1QifQ.${'x'.repeat(20)}.${'y'.repeat(20)}`;
const USER = nats.nkeys.createUser();
const SEED = Buffer.from(USER.getSeed()).toString();
const { logger } = new KeptLog();

function fileWith(content: string | Uint8Array): string {
  const file = join(newFolder(), 'file');
  writeFileSync(file, content);
  return file;
}

const credsWith = (jwt: string, seed: string, end = '\n'): string =>
  [
    '-----BEGIN NATS USER JWT-----',
    jwt,
    '------END NATS USER JWT------',
    '',
    '************************* IMPORTANT *************************',
    'NKEY Seed printed below can be used to sign and prove identity.',
    '',
    '-----BEGIN USER NKEY SEED-----',
    seed,
    '------END USER NKEY SEED------',
    '',
  ].join(end);

/** Returns what a node tells a server that asks it to sign in. */
function answerOf(signIn: NatsSignIn | undefined): nats.Auth {
  return authenticatorOf(signIn, nats, logger)(NONCE);
}

/** Returns the line that the start ends with. */
function faultOf(open: () => unknown): string {
  try {
    open();
  } catch (error) {
    if (error instanceof StartError) return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

/** Checks that a nonce was signed by the user. */
function expectSigned(answer: nats.Auth): void {
  const { nkey, sig } = answer as nats.NKeyAuth;
  expect(nkey).toBe(USER.getPublicKey());
  const signature = Buffer.from(sig, 'base64url');
  expect(nats.nkeys.fromPublic(nkey).verify(new TextEncoder().encode(NONCE), signature)).toBe(true);
}

test('a password or token is sent as it is in the variable, or in the only line of its file', () => {
  const variable = 'NATS_USER';
  const expected = { user: 'app', pass: 'pä ss' };
  expect(answerOf({ variable, user: 'app', password: { text: 'pä ss' } })).toEqual(expected);
  for (const end of ['', '\n', '\r\n']) {
    const file = fileWith(`pä ss${end}`);
    expect(answerOf({ variable, user: 'app', password: { file } })).toEqual(expected);
    expect(answerOf({ variable: 'NATS_TOKEN', token: { file } })).toEqual({ auth_token: 'pä ss' });
  }
});

test('nothing is sent without a way to sign in', () => {
  expect(answerOf(undefined)).toBeUndefined();
});

test.each([
  ['the seed alone', SEED],
  ['a line break at its end', `${SEED}\n`],
  ['line breaks of Windows', `${SEED}\r\n`],
  ['comments', `# the user of tidings\n${SEED}\n# its public half\n${USER.getPublicKey()}\n`],
  ['the form of nsc', `-----BEGIN USER NKEY SEED-----\n${SEED}\n------END USER NKEY SEED------\n`],
])('a seed signs the nonce of the server if its file has %s', (_what, text) => {
  expectSigned(answerOf({ variable: 'NATS_NKEY', file: fileWith(text) }));
});

test.each([
  ['as nsc writes them', credsWith(JWT, SEED)],
  ['without a line break at their end', credsWith(JWT, SEED).trimEnd()],
  ['with line breaks of Windows', credsWith(JWT, SEED, '\r\n')],
  ['with spaces at the ends of lines', credsWith(` ${JWT} `, ` ${SEED} `)],
])('credentials %s sign in', (_what, text) => {
  const answer = answerOf({ variable: 'NATS_CREDS', file: fileWith(text) });
  expect(answer).toMatchObject({ jwt: JWT });
  expectSigned(answer);
});

const ACCOUNT_SEED = Buffer.from(nats.nkeys.createAccount().getSeed()).toString();
const WRONG_SEED = SEED.slice(0, 30) + (SEED[30] === 'A' ? 'B' : 'A') + SEED.slice(31);

test.each<[variable: 'NATS_CREDS' | 'NATS_NKEY', what: string, content: string | Uint8Array, rule: string]>([
  ['NATS_NKEY', 'nothing', '', 'that must have the seed of a user'],
  ['NATS_NKEY', 'the public half', USER.getPublicKey(), 'that must have the seed of a user'],
  ['NATS_NKEY', 'the seed of an account', ACCOUNT_SEED, 'that must have the seed of a user'],
  ['NATS_NKEY', 'a seed that is cut off', SEED.slice(0, -1), 'that must have the seed of a user'],
  [
    'NATS_NKEY',
    'a seed with a letter changed',
    WRONG_SEED,
    'whose seed must be complete: its checksum is wrong',
  ],
  ['NATS_NKEY', 'bytes that are not UTF-8', Buffer.alloc(58, 0xff), 'whose text must be UTF-8'],
  ['NATS_NKEY', 'too much', 'x'.repeat(300_000), 'that must have 262144 bytes at most'],
  ['NATS_CREDS', 'a seed alone', SEED, 'that must have a JWT and a seed'],
  ['NATS_CREDS', 'no seed', credsWith(JWT, JWT), 'that must have the seed of a user'],
  ['NATS_CREDS', 'no JWT', credsWith(SEED, SEED), 'that must have a JWT and a seed'],
  ['NATS_CREDS', 'a JWT alone', JWT, 'that must have a JWT and a seed'],
])('a start with %s ends if the file has %s', (variable, _what, content, rule) => {
  const file = fileWith(content);
  const line = faultOf(() => authenticatorOf({ variable, file }, nats, logger));
  expect(line).toContain(`${variable} names a file, ${file}, ${rule}`);
  for (const secret of [SEED, ACCOUNT_SEED, WRONG_SEED, JWT]) expect(line).not.toContain(secret);
});

test.each([
  ['nothing', '', 'that must not be empty'],
  ['an empty line', '\n', 'that must not be empty'],
  ['two lines', 'one\ntwo\n', 'that must have one line'],
  ['a zero byte', 'a\0b', 'that must have one line'],
  ['a space at its end', 'a \n', 'must not begin or end with white space'],
  ['bytes that are not UTF-8', Buffer.from([0xff, 0xfe]), 'whose text must be UTF-8'],
])('a file of a password or token with %s ends the start', (_what, content, rule) => {
  const file = fileWith(content);
  const secret = { file };
  expect(
    faultOf(() => authenticatorOf({ variable: 'NATS_USER', user: 'app', password: secret }, nats, logger)),
  ).toMatch(/^NATS_PASSWORD_FILE names a file, /);
  expect(faultOf(() => authenticatorOf({ variable: 'NATS_TOKEN', token: secret }, nats, logger))).toContain(
    rule,
  );
});

test('a file that is not there ends the start with a line that names it', () => {
  expect(
    faultOf(() => authenticatorOf({ variable: 'NATS_CREDS', file: '/none/user.creds' }, nats, logger)),
  ).toBe("NATS_CREDS cannot be read (ENOENT: no such file or directory, open '/none/user.creds').");
});

test('a file is read again for each connection, and what it had before is used while it is not good', () => {
  const file = fileWith('t0ken-one');
  const log = new KeptLog();
  const signIn = authenticatorOf({ variable: 'NATS_TOKEN', token: { file } }, nats, log.logger);
  const token = (): unknown => (signIn(NONCE) as nats.TokenAuth).auth_token;
  expect(token()).toBe('t0ken-one');
  writeFileSync(file, 't0ken-two');
  expect(token()).toBe('t0ken-two');
  rmSync(file);
  expect([token(), token()]).toEqual(['t0ken-two', 't0ken-two']);
  writeFileSync(file, 't0ken-three\nt0ken-four');
  expect([token(), token()]).toEqual(['t0ken-two', 't0ken-two']);
  writeFileSync(file, 't0ken-five');
  expect(token()).toBe('t0ken-five');
  const failed = 'NATS_TOKEN_FILE cannot be read: its previous content stays in use';
  expect(log.lines.map(({ msg }) => msg)).toEqual([failed, failed, 'NATS_TOKEN_FILE can be read again']);
  expect(JSON.stringify(log.lines)).not.toMatch(/t0ken/);
});

test('a pipe is read once', () => {
  const pipe = join(newFolder(), 'pipe');
  const token = randomBytes(8).toString('hex');
  execFileSync('mkfifo', [pipe]);
  execFileSync('sh', ['-c', `printf ${token} > "$0" &`, pipe], { stdio: 'ignore' });
  const signIn = authenticatorOf({ variable: 'NATS_TOKEN', token: { file: pipe } }, nats, logger);
  expect([signIn(NONCE), signIn(NONCE)]).toEqual([{ auth_token: token }, { auth_token: token }]);
});

test('files of TLS are read again for each connection', () => {
  const authority = new CertificateAuthority();
  const [first, second] = [authority.sign('first'), authority.sign('second')];
  const read = (name: string, content: string): string => {
    const file = join(newFolder(), name);
    execFileSync('cp', [content, file]);
    return file;
  };
  const [cert, key] = [read('cert', first.certificate), read('key', first.key)];
  const config = natsConfigOf({
    NATS_URL: 'tls://a',
    NATS_CA: authority.file,
    NATS_CERT: cert,
    NATS_KEY: key,
  });
  const tls = tlsOf(config, logger);
  const before = { ...tls };
  execFileSync('cp', [second.certificate, cert]);
  execFileSync('cp', [second.key, key]);
  const after = { ...tls };
  expect(Object.keys(after).sort()).toEqual(['ca', 'cert', 'checkServerIdentity', 'key']);
  expect(after.ca).toBe(before.ca);
  expect(after.cert).not.toBe(before.cert);
  expect(after.key).not.toBe(before.key);
});

test('files of TLS that cannot be used end the start with a line that names the variable', () => {
  const authority = new CertificateAuthority();
  const [own, other] = [authority.sign('own'), authority.sign('other')];
  const pem = fileWith('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  const encrypted = join(newFolder(), 'key');
  execFileSync('openssl', ['pkcs8', '-topk8', '-in', own.key, '-out', encrypted, '-passout', 'pass:secret'], {
    stdio: 'ignore',
  });
  const cases: [variables: Readonly<Record<string, string>>, rule: RegExp][] = [
    [{ NATS_CA: own.key }, /^NATS_CA names a file, .*, that must have a certificate in PEM\.$/],
    [{ NATS_CA: pem }, /^NATS_CA names a file, .*, whose certificate 1 cannot be read/],
    [{ NATS_CA: '/none' }, /^NATS_CA cannot be read \(ENOENT/],
    [{ NATS_CERT: own.key, NATS_KEY: own.key }, /^NATS_CERT names a file, .*, that must have a certificate/],
    [
      { NATS_CERT: own.certificate, NATS_KEY: own.certificate },
      /^NATS_KEY names a file, .*, that must have a private key/,
    ],
    [
      { NATS_CERT: own.certificate, NATS_KEY: encrypted },
      /^NATS_KEY names a file, .*, without a passphrase\.$/,
    ],
    [
      { NATS_CERT: own.certificate, NATS_KEY: other.key },
      /^NATS_KEY must be the key of the certificate in NATS_CERT/,
    ],
  ];
  for (const [variables, rule] of cases) {
    expect(faultOf(() => tlsOf(natsConfigOf({ NATS_URL: 'tls://a', ...variables }), logger))).toMatch(rule);
  }
});
