import { afterEach, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { get, publish, request } from '../support/api.ts';
import { scrape } from '../support/exposition.ts';
import { Fifo } from '../support/fifo.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { testWithTool } from '../support/tool.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

/** Runs the program with its outputs led elsewhere. */
const redirected = (redirection: string) => ['sh', '-c', `exec "$@" ${redirection}`, 'sh'];

const debug = { LOG_LEVEL: 'debug' };
const LONG = 'x'.repeat(250);

/** Sends requests of which each leaves a line of about 400 bytes. */
async function makeLines(server: Server, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 50) {
    const answers = Array.from({ length: 50 }, () => request(`${server.url}/${LONG}`));
    for (const { status } of await Promise.all(answers)) expect(status).toBe(404);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

test.each([
  ['is on a full disk', '/dev/full'],
  ['is closed', '&-'],
  ['has lost its reader', undefined],
])('the service goes on, and ends as it should, if its error output %s', async (_what, place) => {
  const fifo = new Fifo();
  const server = await Server.start({ wrapper: redirected(`2>${place ?? fifo.path}`), env: debug });
  fifo.leave();
  await makeLines(server, 200);
  expect((await publish(server.url, { recipient: 'bob', content: 1 })).status).toBe(201);
  expect((await server.stop()).code).toBe(0);
});

test('a pipe that nobody reads delays neither the service nor its end, and missing lines are counted and logged', async () => {
  const fifo = new Fifo();
  const server = await Server.start({ wrapper: redirected(`2>${fifo.path}`), env: debug });
  await makeLines(server, 3200);
  const dropped = (await scrape(server.url)).value('tidings_logger_lines_dropped_total');
  expect(dropped).toBeGreaterThan(0);
  let text = '';
  const told = (): Record<string, unknown> | undefined =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .find(({ msg }) => String(msg).includes('dropped'));
  await until(() => {
    text += fifo.read();
    return told() !== undefined;
  });
  expect(told()?.['lines']).toBeGreaterThanOrEqual(dropped);
  await makeLines(server, 500);
  expect((await server.stop()).code).toBe(0);
});

test('all lines are in the log file when the process has ended', async () => {
  const file = join(newFolder(), 'log');
  const server = await Server.start({ wrapper: redirected(`2>${file}`), env: debug });
  await makeLines(server, 1000);
  expect((await server.stop()).code).toBe(0);
  const lines = readFileSync(file, 'utf8').split('\n');
  expect(lines.filter((line) => line.includes(LONG))).toHaveLength(1000);
  expect(lines.at(-2)).toContain('"ended"');
});

test('a service goes on if its output cannot take the first line', async () => {
  const port = await freePort();
  void Server.run({ wrapper: redirected('>/dev/full'), port });
  await until(async () => {
    const answer = await get(`http://127.0.0.1:${port}`, '/healthz').catch(() => undefined);
    return answer?.status === 200;
  });
});

test('a failing start ends with code 1 also if its error output cannot be written', async () => {
  for (const redirection of ['2>/dev/full', '2>&-', '>/dev/full']) {
    const { code } = await Server.run({ wrapper: redirected(redirection), env: { PORT: 'x' } });
    expect(code).toBe(1);
  }
});

test('a warning of Node is a line of the log', async () => {
  const server = await Server.start({
    wrapper: [
      'env',
      `NODE_OPTIONS=--import=data:text/javascript,process.on('SIGUSR2',()=>process.emitWarning('careful'))`,
    ],
  });
  server.signal('SIGUSR2');
  await until(() => server.stderr.includes('careful'));
  const line = server.stderr.split('\n').find((text) => text.includes('careful'));
  expect(JSON.parse(line ?? '')).toMatchObject({ level: 40, err: { message: 'careful' } });
});

const terminalTest = testWithTool('python3', 'python3');

/** Runs the program at a terminal, and passes on what it prints there. */
const AT_TERMINAL = ['python3', '-c', 'import pty, sys; pty.spawn(sys.argv[1:])'];

/** As in production, where only the dependencies for that are installed. */
const WITHOUT_PRETTIFIER = `data:text/javascript,
import { register } from 'node:module';
register('data:text/javascript,' + encodeURIComponent(\`
export function resolve(name, context, next) {
  if (name !== 'pino-pretty') return next(name, context);
  throw Object.assign(new Error('no such package'), { code: 'ERR_MODULE_NOT_FOUND' });
}\`));`.replaceAll('\n', '%0A');

terminalTest('at a terminal of a clone the log is in lines for people', async () => {
  const server = await Server.start({ wrapper: AT_TERMINAL });
  await until(() => server.stdout.includes('listening'), 'the line');
  expect(server.stdout).toMatch(/^\[[\d:.]+\] .*INFO.*: .*listening/m);
  expect(server.stdout).not.toContain('{"level"');
});

terminalTest('at a terminal without pino-pretty the log is JSON', async () => {
  const server = await Server.start({
    wrapper: AT_TERMINAL,
    nodeArgs: ['--import', WITHOUT_PRETTIFIER],
    isShipped: true,
  });
  await until(() => server.stdout.includes('"listening"'), 'the line');
  const line = server.stdout.split('\n').find((text) => text.includes('"listening"'));
  expect(JSON.parse(line ?? '')).toMatchObject({ level: 30, msg: 'listening' });
});

test('fatal lines are all written, and other lines of a kind are limited', () => {
  const program = `
    const { openLog } = await import(${JSON.stringify(join(import.meta.dirname, '../../dist/logging/logger.js'))});
    const { logger } = await openLog('info');
    for (let line = 0; line < 30; line++) {
      logger.fatal({ line }, 'it ends');
      logger.error({ line }, 'it fails');
    }`;
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
  });
  const lines = stderr.trim().split('\n');
  expect(lines.filter((line) => line.includes('it ends'))).toHaveLength(30);
  expect(lines.filter((line) => line.includes('it fails')).length).toBeLessThan(30);
});
