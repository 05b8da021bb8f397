import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { readConfig } from '../../src/config.ts';
import { readSecretFile } from '../../src/config-values.ts';
import { cleanUp, newFolder } from '../support/server.ts';

afterAll(cleanUp);

const SECRET = 'a secret for tests, which is long enough';

function secretOf(content: string | Uint8Array): string | undefined {
  const file = join(newFolder(), 'secret');
  writeFileSync(file, content);
  const secret = readSecretFile(file);
  return secret === undefined ? undefined : Buffer.from(secret).toString();
}

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
  ['two lines', `${SECRET}\n${SECRET}`],
  ['31 bytes', `${'é'.repeat(15)}x`],
])('a file with a secret is refused with %s', (_what, content) => {
  expect(() => secretOf(content)).toThrow(/./);
  try {
    secretOf(content);
  } catch (error) {
    expect((error as Error).message).not.toContain(SECRET);
  }
});

test('a file with a secret of 32 bytes or more is taken, without one line break at its end', () => {
  for (const secret of [SECRET, 'x'.repeat(32), 'é'.repeat(16), `${SECRET} ${SECRET}`]) {
    for (const end of ['', '\n', '\r\n']) expect(secretOf(secret + end)).toBe(secret);
  }
});

test('white space around a value, and what could not be decoded, is refused, with the name of the variable', () => {
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

test('around a list white space may stand, as between its parts', () => {
  const environment = { AUTH_SECRET: SECRET, CORS_ORIGINS: '\n https://a.example\n https://b.example \n' };
  expect(readConfig(environment, [], 1024).corsOrigins).toEqual(['https://a.example', 'https://b.example']);
});
