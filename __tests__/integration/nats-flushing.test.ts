import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, test } from '@jest/globals';
import { askFlushing, flushingOfAll, warnUnlessFlushing, whyUnknown } from '../../src/cluster/sync-check.ts';
import { freePorts } from '../support/free-ports.ts';
import { NatsServers, natsTest } from '../support/nats.ts';
import { KeptLog } from '../support/nats-link.ts';
import { cleanUp, newFolder, undoAtEnd } from '../support/server.ts';

afterAll(cleanUp);

/** Answers requests on a free port until the end of the suite. */
async function answering(answer: RequestListener): Promise<string> {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undoAtEnd(() => server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

natsTest('a server that flushes before it acknowledges is reported as such, and logs nothing', async () => {
  const servers = await NatsServers.start(1);
  const url = servers.server(0).monitorUrl;
  const log = new KeptLog();
  expect(await warnUnlessFlushing([url], log.logger)).toEqual([
    { url, name: 'nats-0', flushes: 'yes', why: undefined },
  ]);
  expect(log.lines).toEqual([]);
});

natsTest.each([
  ['its default', {}],
  ['an interval', { sync_interval: '1s' }],
])('a server that flushes by %s is logged with a warning that says what to set', async (_what, setting) => {
  const jetstream = { store_dir: newFolder(), ...setting };
  const servers = await NatsServers.start(1, { config: { jetstream } });
  const url = servers.server(0).monitorUrl;
  const log = new KeptLog();
  expect(await warnUnlessFlushing([url], log.logger)).toEqual([
    { url, name: 'nats-0', flushes: 'no', why: undefined },
  ]);
  expect(log.lines).toEqual([
    expect.objectContaining({ level: 40, url, msg: expect.stringContaining('sync_interval: always') }),
  ]);
});

natsTest('a server without JetStream is reported with unknown flushing', async () => {
  const servers = await NatsServers.start(1, { config: { jetstream: false } });
  const [server] = await askFlushing([servers.server(0).monitorUrl]);
  expect(server).toMatchObject({ flushes: 'unknown', why: 'it has no JetStream' });
});

test('a port that is no monitoring port is reported as unknown, and logged with the reason', async () => {
  const [port = 0] = await freePorts(1);
  const ports: [url: string, why: string | RegExp][] = [
    [`http://127.0.0.1:${port}`, 'ECONNREFUSED'],
    [await answering((_request, response) => response.writeHead(404).end('{}')), 'it answers 404'],
    [await answering((_request, response) => response.end('hello')), 'its answer is not JSON'],
    [await answering((_request, response) => response.end('null')), 'it has no JetStream'],
    [await answering((_request, response) => response.end('{"jetstream":7}')), 'it has no JetStream'],
    [await answering((_request, response) => response.end(' '.repeat(2 ** 21))), /^its answer has more than/],
    [await answering(() => undefined), /^it does not answer within/],
  ];
  const log = new KeptLog();
  const servers = await warnUnlessFlushing(
    ports.map(([url]) => url),
    log.logger,
  );
  for (const [index, [url, why]] of ports.entries()) {
    expect(servers[index]).toEqual({
      url,
      name: undefined,
      flushes: 'unknown',
      why: expect.stringMatching(why),
    });
  }
  expect(log.lines).toHaveLength(ports.length);
});

test('a service without NATS_MONITOR_URL logs a warning that says what to set', async () => {
  const log = new KeptLog();
  expect(await warnUnlessFlushing([], log.logger)).toEqual([]);
  expect(log.lines).toEqual([
    expect.objectContaining({ level: 40, msg: expect.stringContaining('set NATS_MONITOR_URL') }),
  ]);
});

test('a cluster counts as flushing only if each of its servers flushes', () => {
  const all = (...flushes: ('yes' | 'no' | 'unknown')[]): string =>
    flushingOfAll(flushes.map((one) => ({ url: '', name: undefined, flushes: one, why: undefined })));
  expect([all(), all('yes'), all('yes', 'yes')]).toEqual(['unknown', 'yes', 'yes']);
  expect(whyUnknown([])).toBe('NATS_MONITOR_URL is not set');
  const asked = { url: 'http://a', name: 'a', flushes: 'yes', why: undefined } as const;
  expect(whyUnknown([asked])).toBeUndefined();
  const silent = { url: 'http://b', name: undefined, flushes: 'unknown', why: 'ECONNREFUSED' } as const;
  expect(whyUnknown([asked, silent])).toBe('http://b: ECONNREFUSED');
  expect([all('yes', 'unknown'), all('yes', 'no'), all('unknown', 'no')]).toEqual(['unknown', 'no', 'no']);
});
