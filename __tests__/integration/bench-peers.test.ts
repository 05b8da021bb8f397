import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { LoadClient } from '../../bench/client/load-client.js';
import { Remote } from '../../bench/client/remote.js';
import { lastContent, OWN_INBOX } from '../../bench/client/template.js';
import { centrifugo } from '../../bench/peers/centrifugo.js';
import { mercureInMemory, mercureOnDisk } from '../../bench/peers/mercure.js';
import { nchan } from '../../bench/peers/nchan.js';
import { ntfy } from '../../bench/peers/ntfy.js';
import { plain } from '../../bench/peers/plain.js';
import { tidings } from '../../bench/peers/tidings.js';
import { family } from '../../bench/processes.js';
import type { Server } from '../../bench/server.js';
import { isSent, isSync, readTrace, type SystemCall, tracedTest, traceTo } from '../support/trace.ts';
import { until } from '../support/until.ts';

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

for (const peer of [tidings, nchan, centrifugo, mercureInMemory, mercureOnDisk, ntfy, plain]) {
  const install = peer.missing();
  if (install !== undefined) process.stderr.write(`skipped, ${peer.name} in the bench: ${install}\n`);
  (install === undefined ? describe : describe.skip)(`${peer.name}, as the bench runs it,`, () => {
    const start = async (): Promise<{ server: Server; load: LoadClient }> => {
      const server = await peer.start();
      ends.push(() => server.stop());
      const load = new LoadClient(peer, server);
      ends.push(() => load.stop());
      return { server, load };
    };

    test(`${peer.name} gives each message of an inbox once to each of its devices`, async () => {
      const { load } = await start();
      await load.open(5);
      const run = await load.deliver({ inFlight: 4, requests: 40 });
      expect(run).toMatchObject({ messages: 40, deliveries: 5 * 41 });
      expect(await load.pace({ rate: 100, seconds: 0.2, stampEvery: 1 })).toMatchObject({
        p50: expect.any(Number),
      });
    });

    const inboxes = peer === ntfy || peer === plain ? test.skip : test;
    inboxes(`${peer.name} gives each message of an inbox to its device alone`, async () => {
      const { load } = await start();
      await load.open(6, [OWN_INBOX]);
      expect(await load.deliver({ inFlight: 3, requests: 12 })).toMatchObject({ deliveries: 6 * 3 });
    });

    (peer.all === undefined ? test.skip : test)('replays what it keeps to a device that asks', async () => {
      const { server, load } = await start();
      const devices = new Remote(new URL('../../bench/client/catch-up-process.js', import.meta.url));
      ends.push(() => devices.stop());
      // This is more than Centrifugo replays by default.
      await load.publish({ inFlight: 4, requests: 400 });
      await load.publish({ inFlight: 1, requests: 1, content: lastContent('!replay;') });
      const text = peer.all?.(server.port, 'inbox');
      const away = { port: server.port, text, count: 2, last: '!replay;', chunked: peer.chunked };
      expect(await devices.call('catchUp', { ...away, messages: 400 })).toEqual(expect.any(Number));
      await expect(devices.call('catchUp', { ...away, messages: 401 })).rejects.toThrow(
        'a device got 400 messages instead of 401',
      );
    });

    const promise = `${peer.name} ${peer.syncs ? 'flushes each publish to the disk before it answers' : 'flushes no publish'}`;
    tracedTest(promise, async () => {
      const { server, load } = await start();
      // The first publish may make files.
      await load.publish({ inFlight: 1, requests: 1 });
      const calls = await callsDuring(server.pid, () => load.publish({ inFlight: 1, requests: 10 }));
      const answers = calls.filter((call) => isSent(call, 'HTTP/1.1 20'));
      expect(answers).toHaveLength(10);
      const flushes = calls.filter(isSync);
      if (!peer.syncs) expect(flushes).toEqual([]);
      else
        expect(answers.filter((answer, index) => !isFlushed(answer, answers[index - 1], flushes))).toEqual(
          [],
        );
    });
  });
}

/** Whether something was flushed between an answer and the one before it. */
function isFlushed(
  answer: SystemCall,
  before: SystemCall | undefined,
  flushes: readonly SystemCall[],
): boolean {
  return flushes.some(({ began, returned }) => began > (before?.began ?? -1) && returned < answer.began);
}

/** Returns the calls by which a process, its threads and its children write and flush, from now until an act has ended. */
async function callsDuring(pid = 0, act: () => Promise<unknown>): Promise<SystemCall[]> {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-traced-'));
  ends.push(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'calls');
  // The process runs already: strace follows it, instead of starting it.
  const [, , ...args] = traceTo(file);
  const pids = family(pid);
  const tracer = spawn('strace', [...args, ...pids.flatMap((each) => ['-p', `${each}`])], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  tracer.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  await until(() => said.split(' attached').length > pids.length, 'strace attaches to each process');
  await act();
  const ended = once(tracer, 'exit');
  tracer.kill('SIGINT');
  await ended;
  return readTrace(file);
}
