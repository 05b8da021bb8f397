import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import { cleanUp, newFolder, Server, undoAtEnd } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { testWithTool } from '../support/tool.ts';
import { tracedTest } from '../support/trace.ts';
import { until } from '../support/until.ts';

const UNIT = join(import.meta.dirname, '../../deploy/systemd/tidings.service');

const unitTest = testWithTool('systemd-analyze', 'systemd');

afterAll(cleanUp);

/** The system calls of a set, and of those that it is made of. */
function callsOf(set: string): string[] {
  const said = execFileSync('systemd-analyze', ['syscall-filter', set], { encoding: 'utf8' });
  const names = said
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && line !== set && !line.startsWith('#'));
  return names.flatMap((name) => (name.startsWith('@') ? callsOf(name) : [name]));
}

unitTest('the unit of deploy has no setting that systemd does not know', () => {
  // It looks for the program as well.
  const unit = readFileSync(UNIT, 'utf8').replace(/^ExecStart=\S+/m, `ExecStart=${process.execPath}`);
  const file = join(newFolder(), 'tidings.service');
  writeFileSync(file, unit);
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
  expect(status).toBe(0);
  // It looks at the units of this machine as well.
  expect(stderr.split('\n').filter((line) => line.includes('tidings'))).toEqual([]);
});

const bothToolsTest = [unitTest, tracedTest].find((one) => one === test.skip) ?? test;

bothToolsTest('the unit of deploy allows all system calls of the service', async () => {
  const trace = join(newFolder(), 'trace');
  const server = await Server.start({ wrapper: ['strace', '-D', '-f', '-qq', '-o', trace] });
  const device = await DeviceStream.open(server.url, 'recipient=bob');
  await device.waitFor('live');
  await send(server.url, 'bob', 'hi');
  await device.waitForMessages(1);
  expect((await server.stop()).code).toBe(0);
  const filter = /^SystemCallFilter=(.*)$/m.exec(readFileSync(UNIT, 'utf8'))?.[1] ?? '';
  const allowed = new Set(filter.split(' ').flatMap(callsOf));
  const asked = new Set(
    [...readFileSync(trace, 'utf8').matchAll(/^\d+ +(\w+)\(/gm)].map(([, name]) => name ?? ''),
  );
  expect(asked.size).toBeGreaterThan(30);
  expect([...asked].filter((name) => !allowed.has(name))).toEqual([]);
});

/** Reads the socket as systemd does, and prints the time and text of each message. */
const RECEIVER = `
import socket, sys, time
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
print(0, 'BOUND', flush=True)
while True:
    for line in receiver.recv(4096).decode().splitlines():
        print(int(time.time() * 1000), line, flush=True)
`;

/** Has the service hang for two seconds at SIGUSR2, as an endless loop does, and write from when to when into a file. */
const hangingProgram = (file: string): string =>
  'data:text/javascript,' +
  encodeURIComponent(`
import { writeFileSync } from 'node:fs';
process.on('SIGUSR2', () => {
  const begin = Date.now();
  while (Date.now() < begin + 2000);
  writeFileSync('${file}', begin + ' ' + Date.now());
});`);

interface Notification {
  readonly at: number;
  readonly text: string;
}

/** Receives what the service tells systemd. */
async function receiver(): Promise<{ socket: string; of: (text: string) => Notification[] }> {
  const socket = join(newFolder(), 'notify');
  const child = spawn('python3', ['-c', RECEIVER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  undoAtEnd(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await until(() => said.includes('BOUND'), 'the socket');
  const all = (): Notification[] =>
    said
      .split('\n')
      .slice(0, -1)
      .map((line) => ({ at: parseInt(line, 10), text: line.split(' ')[1] ?? '' }));
  return { socket, of: (text) => all().filter((each) => each.text === text) };
}

const pythonTest = testWithTool('python3', 'python3');
const notifyTest =
  [testWithTool('systemd-notify', 'systemd'), pythonTest].find((one) => one === test.skip) ?? test;

notifyTest('systemd learns when the service listens, that it is alive, and when it ends', async () => {
  const { socket, of } = await receiver();
  const server = await Server.start({ env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '200000' } });
  await until(() => of('READY=1').length === 1, 'READY');
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  await until(() => of('WATCHDOG=1').length >= 3, 'signs of life');
  expect(of('STOPPING=1')).toEqual([]);
  expect((await server.stop()).code).toBe(0);
  await until(() => of('STOPPING=1').length === 1, 'STOPPING');
});

notifyTest('a service that hangs gives no sign of life to systemd', async () => {
  const { socket, of } = await receiver();
  const file = join(newFolder(), 'hang');
  const server = await Server.start({
    env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '200000' },
    nodeArgs: ['--import', hangingProgram(file)],
  });
  await until(() => of('WATCHDOG=1').length >= 1, 'a sign of life');
  server.signal('SIGUSR2');
  await until(() => existsSync(file) && readFileSync(file, 'utf8').includes(' '), 'the end of the hang');
  const [begin = 0, end = 0] = readFileSync(file, 'utf8').split(' ').map(Number);
  await until(() => of('WATCHDOG=1').some(({ at }) => at > end), 'a sign of life after it');
  // One that was under way when it began comes through.
  const meanwhile = of('WATCHDOG=1').filter(({ at }) => at > begin && at < end);
  expect(meanwhile.length).toBeLessThanOrEqual(1);
});

notifyTest('a start that fails is never reported to systemd as ready', async () => {
  const { socket, of } = await receiver();
  const ended = await Server.run({ env: { NOTIFY_SOCKET: socket, PORT: 'x' } });
  expect([ended.code, of('READY=1')]).toEqual([1, []]);
});

test('a service without systemd, or without systemd-notify, serves and ends as usual', async () => {
  const alone = await Server.start();
  expect((await alone.stop()).stderr).not.toContain('systemd');
  const env = { NOTIFY_SOCKET: '/nowhere', PATH: '/nowhere' };
  const server = await Server.start({ env });
  await until(() => server.stderr.includes('cannot notify systemd'), 'the warning');
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  expect((await server.stop()).code).toBe(0);
});
