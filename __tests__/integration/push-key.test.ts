import { chmodSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { get } from '../support/api.ts';
import { newVapidKeys, type VapidKeys } from '../../src/push/vapid.ts';
import { cleanUp, newFolder, Server, type ServerOptions, WITHOUT_PRIVILEGE } from '../support/server.ts';

afterEach(cleanUp);

/** The key that a service with these options gives to browsers. */
async function publicKeyOf(options: ServerOptions): Promise<string> {
  const server = await Server.start(options);
  const { body } = (await get(server.url, '/push-key')) as { body: { publicKey: string } };
  expect((await server.stop()).code).toBe(0);
  return body.publicKey;
}

/** A database that has been used, and its file of keys. */
async function usedDatabase(): Promise<{ database: string; file: string }> {
  const database = join(newFolder(), 'log.sqlite');
  await publicKeyOf({ database });
  return { database, file: `${database}-vapid.json` };
}

/** Asserts that a start ends with one line, which is given back. */
async function refusedStart(options: ServerOptions): Promise<string> {
  const { code, stdout, stderr } = await Server.run(options);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^tidings: [^\n]+\n$/);
  return stderr;
}

describe('the key pair for notifications', () => {
  test('the key pair for notifications is made at the first start, for this user alone, and stays the same', async () => {
    const database = join(newFolder(), 'log.sqlite');
    const first = await publicKeyOf({ database });
    const file = `${database}-vapid.json`;
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ publicKey: first });
    expect(await publicKeyOf({ database })).toBe(first);
    // By another name of the database too.
    const link = join(newFolder(), 'link.sqlite');
    symlinkSync(database, link);
    expect(await publicKeyOf({ database: link })).toBe(first);
    expect(await publicKeyOf({})).not.toBe(first);
  });

  test('the key pair for notifications is made again if its making broke off', async () => {
    const database = join(newFolder(), 'log.sqlite');
    writeFileSync(`${database}-vapid.json-new`, '{"publicKey":"B', { mode: 0o644 });
    await publicKeyOf({ database });
    expect(statSync(`${database}-vapid.json`).mode & 0o777).toBe(0o600);
  });

  test('the key pair for notifications comes from the environment if it is set there, and then no file is made', async () => {
    const { publicKey, privateKey } = newVapidKeys();
    const database = join(newFolder(), 'log.sqlite');
    const env = { VAPID_PUBLIC_KEY: publicKey, VAPID_PRIVATE_KEY: privateKey };
    expect(await publicKeyOf({ database, env })).toBe(publicKey);
    expect(existsSync(`${database}-vapid.json`)).toBe(false);
  });

  test.each(
    Object.entries<(keys: VapidKeys) => string>({
      'is empty': () => '',
      'is no JSON': () => 'keys',
      'is null': () => 'null',
      'has one half': ({ publicKey }) => JSON.stringify({ publicKey }),
      'has the halves of two pairs': ({ publicKey }) => JSON.stringify({ ...newVapidKeys(), publicKey }),
      'has a half that is cut': (keys) => JSON.stringify({ ...keys, privateKey: keys.privateKey.slice(1) }),
      'has zero for a key': (keys) => JSON.stringify({ ...keys, privateKey: 'A'.repeat(43) }),
    }),
  )('a key file that %s ends the start with one line, and stays as it is', async (_what, textOf) => {
    const { database, file } = await usedDatabase();
    const keys = JSON.parse(readFileSync(file, 'utf8')) as VapidKeys;
    const text = textOf(keys);
    writeFileSync(file, text);
    const line = await refusedStart({ database });
    expect(line).toContain(file);
    expect(line).toContain('Restore it from a backup, or move it away');
    expect(line).not.toContain(keys.privateKey);
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('a key file that cannot be read ends the start with one line', async () => {
    const { database, file } = await usedDatabase();
    chmodSync(file, 0o000);
    const line = await refusedStart({ database, wrapper: WITHOUT_PRIVILEGE });
    expect(line).toContain(`${file}, the key pair for notifications, cannot be read`);
    expect(line).toContain('Give this user the right to read it');
  });

  const [one, other] = [newVapidKeys(), newVapidKeys()];
  test.each([
    ['one half alone', { VAPID_PUBLIC_KEY: one.publicKey }],
    ['the other half alone', { VAPID_PRIVATE_KEY: one.privateKey }],
    ['halves of two pairs', { VAPID_PUBLIC_KEY: other.publicKey, VAPID_PRIVATE_KEY: one.privateKey }],
    ['keys of another form', { VAPID_PUBLIC_KEY: 'x', VAPID_PRIVATE_KEY: one.privateKey }],
  ])('an environment with %s ends the start with one line', async (_what, env) => {
    const line = await refusedStart({ env: { ...env } });
    expect(line).toContain('VAPID_PUBLIC_KEY and VAPID_PRIVATE_KEY');
    expect(line).not.toContain(one.privateKey);
  });
});
