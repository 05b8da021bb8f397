import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import { cleanUp, Server, takeWireFaults } from '../support/server.ts';
import { SocketDevice } from '../support/socket-device.ts';
import { DeviceStream } from '../support/stream.ts';
import { until } from '../support/until.ts';

const BREAKER = pathToFileURL(join(import.meta.dirname, '../support/wire-breaker.js')).href;

afterEach(cleanUp);

/** A service that says one thing for another. */
function startBroken(from: string, to: string): Promise<Server> {
  return Server.start({
    nodeArgs: ['--import', `${BREAKER}?${new URLSearchParams([[from, to]]).toString()}`],
  });
}

async function waitForFault(): Promise<string> {
  const faults: string[] = [];
  await until(() => faults.push(...takeWireFaults()) > 0, 'a fault');
  return faults.join('\n');
}

test('the tap finds a fault on a stream, whoever reads it, also if the service is killed', async () => {
  const server = await startBroken('data: {"id"', 'data: \ndata: {"id"');
  const reader = await fetch(`${server.url}/stream?recipient=bob`);
  await send(server.url, 'bob', 'hi');
  const found = await waitForFault();
  expect(found).toMatch(/^2 lines of data: .*hi/);
  await send(server.url, 'bob', 'again');
  await server.kill();
  expect(takeWireFaults().join()).toContain('again');
  await reader.body?.cancel().catch(() => undefined);
});

test('the tap finds a fault in the last event of a service that ends', async () => {
  const server = await startBroken('event: bye', ': comment\nevent: bye');
  const device = await DeviceStream.open(server.url, 'recipient=bob');
  await device.waitFor('ready');
  await server.stop();
  expect(await waitForFault()).toMatch(/^a comment: /);
});

test('the tap finds a fault on a WebSocket', async () => {
  const server = await startBroken('"event":"live"', '"event":"life"');
  const device = await SocketDevice.open(server.url, 'recipient=bob');
  expect(await waitForFault()).toMatch(/^an unknown event: life/m);
  device.cut();
});

test('the tap finds a stream that does not begin at the cursor of its client', async () => {
  const server = await startBroken('id: 2-', 'id: 1-');
  for (const content of [1, 2, 3]) await send(server.url, 'bob', content);
  for (const [query, options] of [
    ['recipient=bob', { lastEventId: '2' }],
    ['recipient=bob&lastEventId=2', {}],
  ] as const) {
    const device = await DeviceStream.open(server.url, query, options);
    await device.waitFor('ready');
    expect(await waitForFault()).toMatch(/another beginning than 2/);
    device.cut();
  }
});

test('the tap finds an answer that /openapi.json does not describe, whoever reads it', async () => {
  const server = await startBroken('"more":', '"moar":');
  await fetch(`${server.url}/messages?recipient=bob`);
  expect(await waitForFault()).toMatch(/^not as described: GET \/messages 200: .*"moar":false/m);
});

test('the tap finds a status that is not described', async () => {
  const server = await startBroken('HTTP/1.1 404 Not', 'HTTP/1.1 409 Not');
  await fetch(`${server.url}/messages/7`);
  expect(await waitForFault()).toBe('a status that is not described: GET /messages/7 409');
});

test('the tap finds a refusal of another form, on any path', async () => {
  const server = await startBroken('"detail":', '"detain":');
  await fetch(`${server.url}/nothing`);
  expect(await waitForFault()).toMatch(/^not as described: GET \/nothing 404: .*"detain"/m);
});

test('the tap finds an event on a stream that lacks a described field', async () => {
  const server = await startBroken('"heartbeatSeconds":', '"hartbeatSecconds":');
  const stream = await fetch(`${server.url}/stream?recipient=bob`);
  expect(await waitForFault()).toMatch(/^not as described: event ready: must have required property/m);
  await stream.body?.cancel().catch(() => undefined);
});

test('the tap finds an event on a WebSocket that lacks a described field', async () => {
  const server = await startBroken('"heartbeatSeconds":', '"hartbeatSecconds":');
  const device = await SocketDevice.open(server.url, 'recipient=bob');
  expect(await waitForFault()).toMatch(/^not as described: on a socket: /m);
  device.cut();
});

test('the tap finds no fault in a service that keeps the law, on streams, sockets and other answers', async () => {
  const server = await Server.start();
  await send(server.url, 'bob', 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nno block');
  const device = await DeviceStream.open(server.url, 'recipient=bob&last=1&presence=bob');
  await device.waitFor('presence');
  await (await fetch(`${server.url}/messages?recipient=bob`)).text();
  const head = await fetch(`${server.url}/stream?recipient=bob`, { method: 'HEAD' });
  expect(head.status).toBe(200);
  await server.stop();
  await device.waitForEnd();
  expect(device.find('bye')).toBeDefined();
  expect(takeWireFaults()).toEqual([]);
});
