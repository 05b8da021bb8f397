import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { request as open } from 'node:http';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { jwtVerify } from 'jose';
import { publish, request } from '../support/api.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { DeviceStream } from '../support/stream.ts';
import { bearer, signToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const OLD = 'the old secret of tests, which is long enough';
const NEW = 'the new secret of tests, which is long enough';
const THIRD = 'a third secret of tests, which is long enough';

afterEach(cleanUp);

let file: string;

/** A service whose secrets are in a file, one a line. */
async function start(...secrets: readonly string[]): Promise<Server> {
  file = join(newFolder(), 'secrets');
  writeFileSync(file, secrets.join('\n'));
  return Server.start({ env: { AUTH_SECRET_FILE: file, PUBLISH_RATE: '0' } });
}

/** Puts another file in place by a rename, as a deployment does. */
function replace(text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

const tokenOf = (secret: string, sub = 'bob'): Promise<string> =>
  signToken({ sub, tidings: { sendTo: ['*'] } }, secret);

async function statusOf(server: Server, secret: string): Promise<number> {
  return (await request(`${server.url}/session`, { headers: bearer(await tokenOf(secret)) })).status;
}

/** The statuses of tokens of OLD, NEW and THIRD. */
async function statuses(server: Server): Promise<string> {
  return (await Promise.all([OLD, NEW, THIRD].map((secret) => statusOf(server, secret)))).join();
}

const waitForStatuses = (server: Server, expected: string): Promise<void> =>
  until(async () => (await statuses(server)) === expected, `tokens of old, new, third: ${expected}`);

const logLines = (server: Server, level: number): string[] =>
  server.stderr
    .split('\n')
    .filter((line) => line.includes(`"level":${level},`) && line.includes('AUTH_SECRET_FILE'));

test('a new first secret is accepted at once, and the removal of the old one ends what it opened', async () => {
  const server = await start(OLD);
  const headersOf = async (secret: string) => ({ headers: bearer(await tokenOf(secret)) });
  const byOld = await headersOf(OLD);
  const [oldStream, oldSocket] = [
    await DeviceStream.open(server.url, '', byOld),
    await SocketDevice.open(server.url, '', byOld),
  ];
  const poll = request(`${server.url}/messages?wait=60&after=99`, byOld);
  await Promise.all([oldStream.waitFor('live'), oldSocket.waitFor('live')]);

  replace(`${NEW}\r\n${OLD}\r\n`);
  await waitForStatuses(server, '200,200,401');
  const byNew = await headersOf(NEW);
  const [newStream, newSocket] = [
    await DeviceStream.open(server.url, '', byNew),
    await SocketDevice.open(server.url, '', byNew),
  ];
  await Promise.all([newStream.waitFor('live'), newSocket.waitFor('live')]);
  expect([oldStream.closed, oldSocket.closed]).toEqual([false, false]);

  replace(`${NEW}\n`);
  // Nobody sends a request meanwhile.
  await Promise.all([oldStream.waitForEnd(), oldSocket.waitForEnd()]);
  const bye = { event: 'bye', data: { type: 'bye', reason: 'token-expired' } };
  expect([oldStream.events.at(-1), oldSocket.events.at(-1)]).toMatchObject([bye, bye]);
  expect(oldSocket.close).toEqual({ code: 3000, reason: 'token-expired' });
  expect((await poll).body).toMatchObject({ messages: [] });
  expect(await statuses(server)).toBe('401,200,401');

  expect((await publish(server.url, { recipient: 'bob', content: 1 }, byNew.headers)).status).toBe(201);
  expect((await publish(server.url, { recipient: 'bob', content: 2 }, byOld.headers)).status).toBe(401);
  const contents = [await newStream.waitForMessages(1), await newSocket.waitForMessages(1)];
  expect(contents.map((messages) => messages.map(({ content }) => content))).toEqual([[1], [1]]);
  expect([oldStream.ids, oldSocket.ids]).toEqual([[], []]);
  for (const secret of [OLD, NEW]) expect(server.stderr).not.toContain(secret);
});

test('a file that is malformed, empty or gone leaves the known secrets in use, with one line of the log each', async () => {
  const server = await start(NEW, OLD);
  const stream = await DeviceStream.open(server.url, '', { headers: bearer(await tokenOf(OLD)) });
  await stream.waitFor('live');
  const bad: [string, () => void][] = [
    ['a short second line', () => replace(`${NEW}\nshort\n`)],
    ['nothing', () => replace('')],
    ['a hundred thousand bytes', () => replace('x'.repeat(100_000))],
    ['no file', () => rmSync(file)],
    // A pipe without a writer holds whoever opens it.
    ['a pipe', () => void execFileSync('mkfifo', [file])],
  ];
  for (const [index, [what, put]] of bad.entries()) {
    put();
    await until(() => logLines(server, 50).length === index + 1, `the log to tell of ${what}`);
    expect([what, await statuses(server)]).toEqual([what, '200,200,401']);
  }
  replace(`${NEW}\n${OLD}\n`);
  await until(() => logLines(server, 30).some((line) => line.includes('can be read again')));
  expect(logLines(server, 50)).toHaveLength(bad.length);
  expect(stream.closed).toBe(false);
  replace(THIRD);
  await stream.waitForEnd();
  await waitForStatuses(server, '401,401,200');
  for (const secret of [OLD, NEW, THIRD]) expect(server.stderr).not.toContain(secret);
});

test('a file that is overwritten in place is read again, though its time and size are the same', async () => {
  const server = await start(OLD);
  const { atime, mtime, ino } = statSync(file);
  writeFileSync(file, NEW);
  utimesSync(file, atime, mtime);
  expect(statSync(file)).toMatchObject({ ino, mtime, size: OLD.length });
  await waitForStatuses(server, '401,200,401');
});

test('a link that is turned to another folder, as Kubernetes does, is followed', async () => {
  const server = await (async () => {
    const folder = newFolder();
    for (const [name, secret] of [
      ['1', OLD],
      ['2', NEW],
    ] as const) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'secrets'), secret);
    }
    symlinkSync('1', join(folder, '..data'));
    symlinkSync(join('..data', 'secrets'), join(folder, 'secrets'));
    file = join(folder, 'secrets');
    return Server.start({ env: { AUTH_SECRET_FILE: file } });
  })();
  expect(await statuses(server)).toBe('200,401,401');
  symlinkSync('2', join(dirname(file), '..next'));
  renameSync(join(dirname(file), '..next'), join(dirname(file), '..data'));
  await waitForStatuses(server, '401,200,401');
});

test('a publish whose secret is removed while its body arrives is refused, and takes nothing from the rate', async () => {
  const server = await start(NEW, OLD);
  // The bucket is full again after 1000 s.
  const slowly = async (secret: string) =>
    bearer(await signToken({ sub: 'bob', tidings: { sendTo: ['*'], rate: 0.001 } }, secret));
  const body = JSON.stringify({ recipient: 'bob', content: 'late' });
  const sent = open(`${server.url}/messages`, {
    method: 'POST',
    headers: {
      ...(await slowly(OLD)),
      'Content-Type': 'application/json',
      'Content-Length': body.length,
    },
  });
  const status = new Promise((resolve, reject) => {
    sent.on('response', (response) => resolve(response.resume().statusCode)).on('error', reject);
  });
  sent.write(body.slice(0, 5));
  // A request that came after it has been answered, so its token has been checked.
  await waitForStatuses(server, '200,200,401');
  replace(NEW);
  await waitForStatuses(server, '401,200,401');
  sent.end(body.slice(5));
  expect(await status).toBe(401);
  expect((await publish(server.url, { recipient: 'bob', content: 1 }, await slowly(NEW))).status).toBe(201);
});

test('secrets from a pipe are accepted, and the log says that they are not read again', async () => {
  const wrapper = [
    'bash',
    '-c',
    `exec 9< <(printf '%s\\n%s\\n' '${NEW}' '${OLD}'); AUTH_SECRET_FILE=/dev/fd/9 exec "$@"`,
    '-',
  ];
  const server = await Server.start({ wrapper });
  await until(() => logLines(server, 40).length === 1);
  expect(await statuses(server)).toBe('200,200,401');
});

test('`npm run token` signs with the first secret of the file', async () => {
  const path = join(newFolder(), 'secrets');
  writeFileSync(path, `${NEW}\n${OLD}\n`);
  const program = join(import.meta.dirname, '../../dist/main.js');
  const env = { ...process.env, AUTH_SECRET_FILE: path };
  const { stdout } = spawnSync(process.execPath, [program, 'token', '--sub', 'bob'], { env });
  const verify = (secret: string) => jwtVerify(stdout.toString().trim(), Buffer.from(secret));
  expect((await verify(NEW)).payload).toMatchObject({ sub: 'bob' });
  await expect(verify(OLD)).rejects.toThrow('signature');
});
