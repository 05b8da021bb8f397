import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { readConfig } from '../../src/config/config.ts';
import { readSecretFile } from '../../src/config/config-values.ts';
import { cleanUp, newFolder } from '../support/server.ts';

afterAll(cleanUp);

const SECRET = 'a secret for tests, which is long enough';
const OTHER = 'another secret for tests, of its own line';

function secretOf(content: string | Uint8Array): string {
  const file = join(newFolder(), 'secret');
  writeFileSync(file, content);
  return secretsOfFile(file).join('\n');
}

const secretsOfFile = (file: string): string[] =>
  (readSecretFile(file)?.list ?? []).map((secret) => Buffer.from(secret).toString());

test.each<[string, string | Uint8Array]>([
  ['nothing', ''],
  ['a line break alone', '\r\n'],
  ['bytes that are not UTF-8, few', Buffer.alloc(11, 0x9c)],
  ['bytes that are not UTF-8, many', Buffer.alloc(40, 0xff)],
  ['a half of a character at its end', Buffer.concat([Buffer.from(SECRET), Buffer.of(0xe2, 0x82)])],
  ['the sign that stands for bytes that could not be decoded', '\uFFFD'.repeat(40)],
  ['a byte order mark', `\uFEFF${SECRET}`],
  ['a byte order mark of UTF-16', `\uFEFF${SECRET}`.split('').join('\0')],
  ['UTF-16', Buffer.from(SECRET, 'utf16le')],
  ['two line breaks', `${SECRET}\n\n`],
  ['two line breaks of Windows', `${SECRET}\r\n\r\n`],
  ['a space at its end', `${SECRET} \n`],
  ['a space at its beginning', ` ${SECRET}`],
  ['a no-break space at its end', `${SECRET}\u00a0`],
  ['spaces alone', ' '.repeat(40)],
  ['zero bytes alone', Buffer.alloc(40)],
  ['a zero byte', `${SECRET}\0${SECRET}`],
  ['one secret twice', `${SECRET}\n${OTHER}\n${SECRET}`],
  ['31 bytes', `${'é'.repeat(15)}x`],
  ['31 bytes in its second line', `${SECRET}\n${'é'.repeat(15)}x\n`],
  ['a line break at its beginning', `\n${SECRET}`],
  ['an empty line', `${SECRET}\n\n${OTHER}`],
  ['a space at the end of its first line', `${SECRET} \n${OTHER}`],
  ['a byte order mark in its second line', `${SECRET}\n\uFEFF${OTHER}`],
  ['line breaks of the Mac of old', `${SECRET}\r${OTHER}`],
  ['more line breaks of Unicode', `${SECRET}\u0085${OTHER}`],
  ['a comment', `# the secrets of the service, the newest first\n${SECRET}`],
  ['a key in PEM', `-----BEGIN OPENSSH PRIVATE KEY-----\n${SECRET}\n-----END OPENSSH PRIVATE KEY-----\n`],
  ['nine secrets', Array.from({ length: 9 }, (_, index) => `${SECRET} ${index}`).join('\n')],
])('a file with secrets is refused with %s', (_what, content) => {
  expect(() => secretOf(content)).toThrow(/./);
  try {
    secretOf(content);
  } catch (error) {
    expect((error as Error).message).not.toContain(SECRET);
    expect((error as Error).message).not.toContain(OTHER);
  }
});

test('a file with a secret of 32 bytes or more is accepted, without a line break at its end', () => {
  for (const secret of [SECRET, 'x'.repeat(32), 'é'.repeat(16), `${SECRET} ${SECRET}`]) {
    for (const end of ['', '\n', '\r\n']) expect(secretOf(secret + end)).toBe(secret);
  }
});

test('a file has up to eight secrets, one a line, in their order', () => {
  const secrets = Array.from({ length: 8 }, (_, index) => `${index}${SECRET}`);
  for (const end of ['\n', '\r\n']) expect(secretOf(secrets.join(end) + end).split('\n')).toEqual(secrets);
});

test('the error of a file with secrets names the number of the line', () => {
  expect(() => secretOf(`${SECRET}\nshort\n`)).toThrow('whose line 2 must have 32 bytes or more (it has 5)');
  expect(() => secretOf(`${SECRET}\n\n${OTHER}`)).toThrow('whose line 2 must not be empty');
  expect(() => secretOf(`${SECRET}\n${OTHER}\n${SECRET}`)).toThrow('whose line 3 must not repeat line 1');
});

test('a file with secrets that is too large to be read again ends the start', () => {
  expect(() => secretOf('x'.repeat(65_536))).not.toThrow();
  expect(() => secretOf('x'.repeat(65_537))).toThrow('that must have 65536 bytes at most');
});

test('white space around a value and undecodable bytes are refused, with the name of the variable', () => {
  const names = [
    'PORT',
    'HOST',
    'PUBLIC_URL',
    'DATABASE',
    'LOG_LEVEL',
    'PUBLISH_RATE',
    'AUTH_SECRET',
    'AUTH_ISSUER',
    'AUTH_AUDIENCE',
    'AUTH_JWKS',
    'AUTH_SECRET_FILE',
    'VAPID_PRIVATE_KEY',
    'VAPID_PUBLIC_KEY',
    'VAPID_SUBJECT',
  ];
  for (const name of names) {
    for (const value of [' 7', '7\r', '7\n', '\uFEFF7', '7\u00a0', '   ', '\uFFFD7']) {
      expect(() => readConfig({ [name]: value }, [], 1024)).toThrow(`${name} must `);
    }
  }
  expect(() => readConfig({}, ['--port', ' 7070'], 1024)).toThrow(
    '--port must not begin or end with white space',
  );
});

test('a list may have white space around it, as between its parts', () => {
  const environment = { AUTH_SECRET: SECRET, CORS_ORIGINS: '\n https://a.example\n https://b.example \n' };
  expect(readConfig(environment, [], 1024).corsOrigins).toEqual(['https://a.example', 'https://b.example']);
});
