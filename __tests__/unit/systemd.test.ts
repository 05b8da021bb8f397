import { expect, test } from '@jest/globals';
import { Systemd } from '../../src/cli/systemd.ts';
import { until } from '../support/until.ts';

/** Returns the messages to systemd with such variables. */
function told(environment: Readonly<Record<string, string>>) {
  const messages: string[] = [];
  const systemd = new Systemd({
    environment,
    onFault: (error) => {
      throw error;
    },
    send: (message) => {
      messages.push(message);
      return Promise.resolve();
    },
  });
  const lives = (): number => messages.filter((message) => message === 'WATCHDOG=1').length;
  return { systemd, messages, lives };
}

const WATCHED = { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '20000' };

test('systemd is told nothing unless it has asked for it', async () => {
  const { systemd, messages } = told({ WATCHDOG_USEC: '20000' });
  await systemd.ready(() => Promise.resolve());
  await systemd.stopping();
  expect(messages).toEqual([]);
});

test('systemd is told that a service is alive while its writer answers, even with a failure', async () => {
  const { systemd, lives, messages } = told(WATCHED);
  let probes = 0;
  await systemd.ready(() => (probes++ % 2 === 0 ? Promise.resolve() : Promise.reject(new Error('full'))));
  await until(() => lives() >= 4);
  await systemd.stopping();
  expect([messages[0], messages.at(-1)]).toEqual(['READY=1', 'STOPPING=1']);
});

test('systemd is not told that a service is alive while its writer hangs', async () => {
  const hanging = told(WATCHED);
  const sound = told(WATCHED);
  let release: () => void = () => undefined;
  let probes = 0;
  await hanging.systemd.ready(() => {
    probes++;
    return new Promise<void>((resolve) => (release = resolve));
  });
  await sound.systemd.ready(() => Promise.resolve());
  await until(() => sound.lives() >= 5 && probes === 1);
  expect([hanging.lives(), probes]).toEqual([0, 1]);
  release();
  await until(() => hanging.lives() === 1);
  await hanging.systemd.stopping();
  release();
  await sound.systemd.stopping();
  expect(hanging.messages).toEqual(['READY=1', 'WATCHDOG=1', 'STOPPING=1']);
});

test('systemd is told that a process is alive only if it watches that process', async () => {
  const other = told({ ...WATCHED, WATCHDOG_PID: '1' });
  const own = told({ ...WATCHED, WATCHDOG_PID: String(process.pid) });
  for (const { systemd } of [other, own]) await systemd.ready(() => Promise.resolve());
  await until(() => own.lives() >= 3);
  for (const { systemd } of [other, own]) await systemd.stopping();
  expect(other.messages).toEqual(['READY=1', 'STOPPING=1']);
});

test('the first message to systemd that cannot be passed on is reported, and the others are not', async () => {
  const faults: Error[] = [];
  const systemd = new Systemd({
    environment: WATCHED,
    onFault: (error) => faults.push(error),
    send: () => Promise.reject(new Error('no such program')),
  });
  await systemd.ready(() => Promise.resolve());
  await systemd.stopping();
  expect(faults).toEqual([new Error('no such program')]);
});
