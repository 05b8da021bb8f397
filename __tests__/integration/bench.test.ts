import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { LoadClient } from '../../bench/client/load-client.js';
import { tidings } from '../../bench/peers/tidings.js';
import { until } from '../support/until.ts';

const MAIN = new URL('../../bench/main.js', import.meta.url).pathname;

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

type Meddle = (message: number, device: number) => 'lose' | 'repeat' | undefined;

/**
 * A server that hands each message to all streams, but for what `meddle` does.
 *
 * @param chunked whether streams come in chunks, which it cuts differently for each device
 */
async function serve(meddle: Meddle, chunked = false): Promise<LoadClient> {
  const streams: ServerResponse[] = [];
  let messages = 0;
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.useChunkedEncodingByDefault = chunked;
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('event: live\ndata: {}\n\n');
      streams.push(response);
      return;
    }
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      messages++;
      for (const [device, stream] of streams.entries()) {
        const what = meddle(messages, device);
        const frame = `data: ${body}\n\n`;
        const cut = chunked ? (7 * device) % frame.length : 0;
        const write = (): void => {
          for (const part of [frame.slice(0, cut), frame.slice(cut)]) if (part !== '') stream.write(part);
        };
        if (what !== 'lose') write();
        if (what === 'repeat') write();
      }
      response.writeHead(201, { 'Content-Length': 0 }).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new LoadClient({ ...tidings, chunked }, { port, cpuSeconds: () => 0 }, 5000);
  ends.push(async () => {
    await client.stop();
    server.closeAllConnections();
    server.close();
  });
  return client;
}

test.each([
  ['nothing is lost or repeated', () => undefined, undefined],
  [
    'one device misses a message',
    (message, device) => (message === 5 && device === 2 ? 'lose' : undefined),
    /bytes, another/,
  ],
  [
    'all devices miss a message',
    (message) => (message === 5 ? 'lose' : undefined),
    /got 9 messages instead of 10/,
  ],
  ['a message comes twice', (message) => (message === 5 ? 'repeat' : undefined), /came after/],
  [
    'the last message is lost',
    (message, device) => (message === 11 && device === 1 ? 'lose' : undefined),
    /1 devices have not had the last message/,
  ],
] as [string, Meddle, RegExp | undefined][])(
  'the bench refuses the figure of a run unless each device got everything once: %s',
  async (_, meddle, refusal) => {
    const client = await serve(meddle);
    await client.open(3);
    const run = client.deliver({ inFlight: 2, requests: 10 });
    if (refusal === undefined) expect(await run).toMatchObject({ messages: 10, deliveries: 33 });
    else await expect(run).rejects.toThrow(refusal);
  },
);

test('a server may cut its chunks differently for each device, but not lose a message of one', async () => {
  const client = await serve(
    (message, device) => (message === 15 && device === 2 ? 'lose' : undefined),
    true,
  );
  await client.open(3);
  const run = { inFlight: 2, requests: 10 };
  expect(await client.deliver(run)).toMatchObject({ messages: 10, deliveries: 33 });
  await expect(client.deliver(run)).rejects.toThrow(/bytes, another/);
});

test('an interrupted bench leaves no process and no folder', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-interrupted-'));
  const bench = spawn(process.execPath, [MAIN, '--quick', 'fan-out'], {
    env: { ...process.env, TMPDIR: folder },
    stdio: 'ignore',
  });
  ends.push(() => {
    bench.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });
  // Its server, the publishers and the devices.
  await until(() => childrenOf(bench.pid).length >= 3 && readdirSync(folder).length > 0);
  const children = childrenOf(bench.pid);
  bench.kill('SIGINT');
  const [code] = (await once(bench, 'exit')) as [number];
  expect(code).toBe(130);
  expect(readdirSync(folder)).toEqual([]);
  await until(() => children.every((pid) => !existsSync(`/proc/${pid}`)));
});

function childrenOf(pid = 0): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').match(/\d+/g) ?? [];
}

test('an unknown case ends the bench with code 1, and the error lists the known cases', () => {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'fanout'], { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toContain('There is no case "fanout". Give one of fan-out, latency,');
});
