import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { DeviceStream } from '../support/stream.ts';
import { testWithTool } from '../support/tool.ts';
import { tracedTest } from '../support/trace.ts';

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

unitTest('the unit of deploy has nothing that systemd does not know', () => {
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

bothToolsTest('the unit of deploy lets the service do all that it asks the system for', async () => {
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
