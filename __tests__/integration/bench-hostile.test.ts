import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import type { Row } from '../../bench/case.js';
import { HonestStream } from '../../bench/hostile/honest-stream.js';
import { PacedRequests } from '../../bench/hostile/paced-requests.js';
import { requestBytes } from '../../bench/hostile/wire.js';
import { until } from '../support/until.ts';

const MAIN = new URL('../../bench/main.js', import.meta.url).pathname;

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

test('the case of attacks prints for each attack what was sent, and what honest clients noticed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-hostile-'));
  ends.push(() => rmSync(folder, { recursive: true }));
  const attacks = ['--attack', 'query', '--attack', 'fragments'];
  const bench = spawn(process.execPath, [MAIN, '--quick', 'hostile', ...attacks, '--results', folder], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  ends.push(() => void bench.kill('SIGKILL'));
  let table = '';
  bench.stdout.setEncoding('utf8').on('data', (text: string) => (table += text));
  const [code] = (await once(bench, 'close')) as [number];
  expect(code).toBe(0);
  expect(table).toBe(readFileSync(join(folder, 'results.md'), 'utf8'));
  const { rows } = JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8')) as { rows: Row[] };
  for (const line of ['query, by 4', 'fragments, by 4']) {
    expect(table).toContain(`\n| ${line} |`);
    const figure = (name: string): Row['figure'] | undefined =>
      rows.find((row) => row.line === line && row.name === name)?.figure;
    for (const name of [
      'publish p99',
      '/healthz p99',
      '/healthz p99 in CPU time',
      'control p99',
      'CPU',
      'sent',
    ]) {
      expect(figure(name)).toBeGreaterThan(0);
    }
    expect(figure('memory over alone')).toEqual(expect.any(Number));
    expect(figure('requests failed')).toBeGreaterThanOrEqual(0);
    expect(figure('streams not exact')).toBe(0);
  }
});

/** A stream of an honest client that is sent these messages, each `[id, number]`. */
async function streamOf(messages: readonly (readonly [number, number])[]): Promise<HonestStream> {
  const server = createServer((_request, response) => {
    response.useChunkedEncodingByDefault = false;
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write('event: live\ndata: {}\n\n');
    for (const [id, number] of messages) {
      response.write(`id: ${id}\ndata: ${JSON.stringify({ id, content: `${number} text` })}\n\n`);
    }
    response.write('event: bye\ndata: {"reason":"end of the test"}\n\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const stream = new HonestStream((server.address() as AddressInfo).port, 'token', 'inbox');
  await stream.live;
  await until(() => stream.fault !== undefined);
  return stream;
}

test.each([
  [
    'it is ended by the service',
    [
      [1, 0],
      [2, 1],
    ],
    /^a stream was ended/,
  ],
  [
    'a message comes twice',
    [
      [1, 0],
      [2, 0],
    ],
    /number 0 came twice/,
  ],
  [
    'a message comes after a later one',
    [
      [2, 1],
      [1, 0],
    ],
    /message 1 came after 2/,
  ],
] as [string, [number, number][], RegExp][])(
  'a stream in the case of attacks is not exact if %s',
  async (_, messages, fault) => {
    const stream = await streamOf(messages);
    expect(stream.fault).toMatch(fault);
  },
);

test('a stream complains about an acknowledged message that it did not get, and about no other message', async () => {
  const stream = await streamOf([[1, 7]]);
  stream.fault = undefined;
  expect(stream.complaint([7])).toBeUndefined();
  expect(stream.complaint([])).toBeUndefined();
  expect(stream.complaint([7, 8])).toMatch(/has not got 1 acknowledged/);
});

test('a request of an honest client fails if it is refused, or if its connection is cut', async () => {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    if (requests === 2) response.writeHead(503).end();
    else if (requests === 3) request.socket.destroy();
    else response.writeHead(200, { 'Content-Length': 2 }).end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const paced = new PacedRequests(port, 20, () => ({ bytes: requestBytes('/healthz') }));
  const { times, failures } = await paced.run(0.25);
  expect(times).toHaveLength(5);
  expect(failures).toEqual([
    expect.stringContaining('answered HTTP/1.1 503'),
    expect.stringContaining('connection'),
  ]);
});

test('an unknown attack ends the bench with code 1, and the error lists the known attacks', async () => {
  const bench = spawn(process.execPath, [MAIN, 'hostile', '--attack', 'nothing'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  bench.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [code] = (await once(bench, 'close')) as [number];
  expect(code).toBe(1);
  expect(said).toContain('There is no attack "nothing". Give one of unread-pages,');
});
