import { afterAll, describe, expect, test } from '@jest/globals';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { get, send } from '../support/api.ts';
import { cleanUp, type Ended, newFolder, Server, type ServerOptions } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';
import { words } from '../support/words.ts';

afterAll(cleanUp);

/** As long as a secret has to be. */
const SECRET = 'a secret for tests, which is long enough';

/** A file with a text in it, in a folder of its own. */
function secretFile(text: string): string {
  const file = join(newFolder(), 'secret');
  writeFileSync(file, text);
  return file;
}

/** Asserts that a start ended with one line and a code: 1, or 2 if the command line was wrong. Gives the line. */
function expectOneLine({ code, stdout, stderr }: Ended, expected: 1 | 2 = 1): string {
  expect({ code, stdout }).toEqual({ code: expected, stdout: '' });
  expect(stderr).toMatch(/^[^\n]+\n$/);
  expect(stderr).not.toMatch(/node_modules|\.js:|\bat /);
  return stderr;
}

/** Asserts that a server with these options serves, and stops as it should. */
async function expectServes(options: ServerOptions): Promise<void> {
  const server = await Server.start(options);
  expect((await get(server.url, '/readyz')).status).toBe(200);
  expect((await server.stop()).code).toBe(0);
}

describe('the start', () => {
  test('the start prints the port in the first line of output', async () => {
    const server = await Server.start({ port: 0 });
    const line = server.stdout.split('\n')[0] ?? '';
    const port = Number(/:(\d+)/.exec(line)?.[1]);
    expect(port).toBeGreaterThan(0);
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    expect(server.stdout).toMatch(/\bke(ep|pt)\b/);
    await server.stop();
  });

  test('the start makes the database with its folder', async () => {
    const database = join(newFolder(), 'a/b c/é/log.sqlite');
    await expectServes({ database });
    expect(existsSync(database)).toBe(true);
  });

  test('a started service answers 200 at /healthz and /readyz', async () => {
    const server = await Server.start();
    expect((await get(server.url, '/healthz')).status).toBe(200);
    expect((await get(server.url, '/readyz')).status).toBe(200);
    await server.kill();
  });

  test('a second process with the same database ends with one line', async () => {
    const first = await Server.start();
    await send(first.url, 'bob', 1);
    const line = expectOneLine(await Server.run({ database: first.database }));
    expect(line).toContain(first.database);
    expect((await get(first.url, '/messages?recipient=bob')).body).toMatchObject({
      messages: [{ content: 1 }],
    });
    await first.kill();
    await expectServes({ database: first.database });
  });

  test('a start on a port that is in use ends with one line that names PORT', async () => {
    const first = await Server.start();
    const line = expectOneLine(await Server.run({ port: first.port }));
    expect(line).toContain('PORT');
    await first.kill();
  });
});

describe('a variable', () => {
  test.each<[string, Record<string, string>]>([
    [
      'at its lower end',
      {
        PORT: '0',
        HOST: '127.0.0.1',
        PUBLIC_URL: 'http://a',
        RETENTION_DAYS: '0',
        RETENTION_MESSAGES: '0',
        RETENTION_CLOCK: 'checked',
        UPGRADE_COPY: 'kept',
        HEARTBEAT_SECONDS: '1',
        MAX_STREAMS: '1',
        PUSH_DELAY_SECONDS: '0',
        PUSH_HOSTS: 'push.example.org',
        VAPID_SUBJECT: 'mailto:a@b',
        TRUST_PROXY: 'false',
        LOG_LEVEL: 'silent',
      },
    ],
    [
      'at its upper end',
      {
        HOST: 'localhost',
        PUBLIC_URL: 'https://push.example.org:8443/base/path',
        RETENTION_DAYS: '36500',
        RETENTION_MESSAGES: '1000000000',
        RETENTION_CLOCK: 'trusted',
        UPGRADE_COPY: 'none',
        HEARTBEAT_SECONDS: '3600',
        PUSH_DELAY_SECONDS: '3600',
        PUSH_HOSTS: 'push.example.org, *.push.example.org',
        VAPID_SUBJECT: 'https://push.example.org/contact',
        TRUST_PROXY: 'loopback, 10.0.0.0/8',
        LOG_LEVEL: 'trace',
      },
    ],
  ])('each variable is accepted %s', (_what, env) => expectServes({ env }));

  test.each([
    ['PORT', '65536'],
    ['PUBLIC_URL', 'push.example.org'],
    ['RETENTION_DAYS', '36501'],
    ['RETENTION_MESSAGES', 'all'],
    ['RETENTION_CLOCK', 'right'],
    ['UPGRADE_COPY', 'true'],
    ['HEARTBEAT_SECONDS', '0'],
    ['MAX_STREAMS', '100001'],
    ['TRUST_PROXY', 'everyone'],
    ['LOG_LEVEL', 'loud'],
    ['PUSH_DELAY_SECONDS', '1.5'],
    ['PUSH_HOSTS', 'localhost'],
    ['VAPID_SUBJECT', 'mailto:x'],
  ])('a wrong %s ends the start with one line that names it', async (name, value) => {
    expect(expectOneLine(await Server.run({ env: { [name]: value } }))).toContain(name);
  });

  test('a wrong DATABASE ends the start with one line that names it', async () => {
    const folder = newFolder();
    const file = join(folder, 'text');
    writeFileSync(file, 'This is no database.\n'.repeat(1000));
    for (const database of [folder, file, join(file, 'log.sqlite')]) {
      expect(expectOneLine(await Server.run({ database }))).toContain('DATABASE');
    }
  });

  test.each(['0.0.0.0', 'example.org'])('HOST=%s is refused if no key is configured', async (HOST) => {
    const line = expectOneLine(await Server.run({ env: { HOST } }));
    expect(line).toContain('HOST');
    expect(line).toContain('AUTH_SECRET');
  });

  test.each<[string, Record<string, string>, string]>([
    ['a secret that is too short', { AUTH_SECRET: 'x'.repeat(31) }, 'AUTH_SECRET'],
    ['two secrets', { AUTH_SECRET: SECRET, AUTH_SECRET_FILE: secretFile(SECRET) }, 'AUTH_SECRET_FILE'],
    ['a short secret in a file', { AUTH_SECRET_FILE: secretFile('short\n') }, 'AUTH_SECRET_FILE'],
    ['keys without an issuer', { AUTH_JWKS: '/keys.json', AUTH_AUDIENCE: 'tidings' }, 'AUTH_ISSUER'],
    ['other sites without a key', { CORS_ORIGINS: 'https://example.org' }, 'CORS_ORIGINS'],
    ['a site with a path', { AUTH_SECRET: SECRET, CORS_ORIGINS: 'https://example.org/' }, 'CORS_ORIGINS'],
    ['a rate below zero', { AUTH_SECRET: SECRET, PUBLISH_RATE: '-1' }, 'PUBLISH_RATE'],
    ['a host that is none', { AUTH_SECRET: SECRET, HOST: 'a b' }, 'HOST'],
  ])('%s ends the start with one line that names it, and shows no secret', async (_what, env, name) => {
    const line = expectOneLine(await Server.run({ env }));
    expect(line).toContain(name);
    if (env['AUTH_SECRET'] !== undefined) expect(line).not.toContain(env['AUTH_SECRET']);
  });

  test('a value with white space around it, or with bytes that are not UTF-8, is refused with one line that names it', async () => {
    const values: [string, string][] = [
      ['PORT', ' 7070'],
      ['AUTH_SECRET', '\uFFFD'.repeat(40)],
      ['AUTH_AUDIENCE', 'tidings\n'],
      ['AUTH_SECRET_FILE', secretFile(`${SECRET}\n\n`)],
    ];
    await Promise.all(
      values.map(async ([name, value]) => {
        const env = name.startsWith('AUTH_SECRET') ? {} : { AUTH_SECRET: SECRET };
        const line = expectOneLine(await Server.run({ env: { ...env, [name]: value } }));
        expect(line).toMatch(new RegExp(`${name} .*must `));
        expect(line).not.toContain(SECRET);
      }),
    );
  });

  test('AUTH_SECRET has no flag, because everybody on the machine can see the command line', async () => {
    expect(expectOneLine(await Server.run({ args: ['--auth-secret', SECRET] }), 2)).not.toContain(SECRET);
  });

  test.each<[string, Record<string, string>]>([
    ['a secret in a file', { AUTH_SECRET_FILE: secretFile(`${SECRET}\n`) }],
    ['all addresses, with a key', { AUTH_SECRET: SECRET, HOST: '0.0.0.0' }],
    [
      'other sites, with a key',
      { AUTH_SECRET: SECRET, CORS_ORIGINS: 'https://a.example, http://localhost:3000' },
    ],
  ])('%s is accepted', (_what, env) => expectServes({ env }));

  test.each([
    ['TRUST_PROXY', ['1', 'true', '127.0.0.1', 'linklocal,uniquelocal']],
    ['LOG_LEVEL', ['fatal', 'error', 'warn', 'debug']],
  ])('%s is accepted in each of its forms', async (name, values) => {
    await Promise.all(values.map((value) => expectServes({ env: { [name]: value } })));
  });

  test('an unknown variable that is near a known one is logged in a line that names both', async () => {
    const server = await Server.start({ env: { PUSH_DELAY: '5', HOSTNAME: 'x', NODE_ENV: 'production' } });
    const { stderr } = await server.stop();
    const lines = stderr.split('\n').filter((line) => line.includes('unknown'));
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ level: 40, name: 'PUSH_DELAY', nearest: 'PUSH_DELAY_SECONDS' }),
    ]);
  });

  test('LOG_LEVEL decides what is logged, in lines of JSON', async () => {
    const logged = async (LOG_LEVEL: string) => {
      const server = await Server.start({ env: { LOG_LEVEL } });
      await get(server.url, '/messages?recipient=bob');
      const { stdout, stderr } = await server.stop();
      return `${stdout}\n${stderr}`.split('\n').filter((line) => line.startsWith('{'));
    };
    const lines = await logged('trace');
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ msg: expect.any(String) });
    expect(await logged('silent')).toEqual([]);
  });
});

describe('a flag', () => {
  test('a flag overrides the variable of its name, in either form', async () => {
    const database = join(newFolder(), 'flag.sqlite');
    const server = await Server.start({
      port: 1,
      env: { MAX_STREAMS: '1', HEARTBEAT_SECONDS: '3600', LOG_LEVEL: 'silent' },
      args: [
        ...words('--port 0 --max-streams=2 --heartbeat-seconds 1 --log-level=info'),
        `--database=${database}`,
      ],
    });
    expect(existsSync(database)).toBe(true);
    expect(existsSync(server.database)).toBe(false);
    const devices = await Promise.all([1, 2].map(() => DeviceStream.open(server.url, 'recipient=bob')));
    for (const device of devices) {
      await device.waitFor('live');
      await device.waitFor('heartbeat');
    }
    await until(async () => (await get(server.url, '/readyz')).status === 200);
    await server.kill();
  });

  test.each([
    ['--port', '65536'],
    ['--host', '0.0.0.0'],
    ['--trust-proxy', 'x'],
  ])('a wrong %s ends the start with one line that names it', async (flag, value) => {
    const line = expectOneLine(await Server.run({ args: [`${flag}=${value}`] }));
    expect(line).toMatch(new RegExp(`${flag}|${flag.slice(2).replaceAll('-', '_').toUpperCase()}`));
  });

  test.each([
    ['an unknown flag', ['--prot=1'], '--prot'],
    ['a flag without its value', ['--port'], '--port'],
    ['an unknown command', ['sevre'], 'sevre'],
    ['a word behind the command', ['serve', 'now'], 'now'],
  ])('%s ends the start with one line that names it', async (_what, args, named) => {
    expect(expectOneLine(await Server.run({ args }), 2)).toContain(named);
  });
});
