import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { send } from '../support/api.ts';
import { CuttingProxy } from '../support/cutting-proxy.ts';
import { ForeignProgram, messagesIn } from '../support/foreign-client.ts';
import { expectExact, RestartedServer, waitForDevices } from '../support/restarts.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

/** Each as its own documentation shows it. */
const PROGRAMS = [
  'eventsource-2.js',
  'eventsource-4.js',
  'eventsource-parser.js',
  'launchdarkly-eventsource.js',
  'event-source-plus.js',
  'python.py',
  'curl.sh',
];
/** Gives up for good on any status but 200. */
const STRICT = 'eventsource-4.js';

afterAll(cleanUp);

describe('clients of others', () => {
  const recipient = 'bob';
  const programs = new Map<string, ForeignProgram>();
  let server: RestartedServer;
  const programOf = (file: string): ForeignProgram => {
    const program = programs.get(file);
    if (program === undefined) throw new Error(`${file} was not started`);
    return program;
  };
  beforeAll(async () => {
    server = await RestartedServer.start();
    for (const file of PROGRAMS) {
      programs.set(file, new ForeignProgram(file, server.streamOf(recipient, file)));
    }
    await server.waitForDevices(recipient, programs.size);
    await server.publishThroughEnds(recipient, programs.size);
  });

  test.each(PROGRAMS)('%s gets each message once and in order over SIGTERM and SIGKILL', async (file) => {
    await expectExact(programOf(file), server.url, recipient);
  });

  test(`all programs but ${STRICT} get each message once and in order through 502 of a proxy; ${STRICT} gives up`, async () => {
    await server.failAsProxiesDo(recipient, PROGRAMS.length);
    for (const file of PROGRAMS) {
      if (file !== STRICT) await expectExact(programOf(file), server.url, recipient);
    }
    await until(() => programOf(STRICT).said.includes('ended with 0'), 'it to give up');
    expect(await programOf(STRICT).received()).not.toContainEqual(
      expect.objectContaining({ content: 'while a proxy answered 502' }),
    );
  });
});

test('a client that takes an id as soon as it reads one loses nothing if its connection breaks within a frame', async () => {
  const server = await Server.start();
  const proxy = await CuttingProxy.listen(server.port);
  try {
    const program = new ForeignProgram('eventsource-2.js', `${proxy.origin}/stream?recipient=dora`);
    await waitForDevices(server.url, 'dora', 1);
    const { id: before } = await send(server.url, 'dora', 'before');
    await until(async () => (await program.lastId()) === before, 'the message before');
    proxy.allow(60);
    const { id } = await send(server.url, 'dora', 'x'.repeat(1000));
    proxy.allowAll();
    await until(async () => (await program.lastId()) === id, `message ${id} behind ${before}`);
    expect(messagesIn(await program.received()).map((message) => message.id)).toEqual([before, id]);
  } finally {
    await proxy.close();
  }
});

test.each(PROGRAMS)('a client loses nothing if a proxy breaks off within its chunks: %s', async (file) => {
  const asked: (string | undefined)[] = [];
  /** Says a message to whoever comes, in a chunk of more than that, and goes. */
  const proxy = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (head) => {
      asked.push(/^last-event-id: *(\S*)\r$/im.exec(head.toString())?.[1]);
      const id = asked.length;
      const type = 'Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close';
      socket.end(
        `HTTP/1.1 200 OK\r\n${type}\r\n\r\n1000\r\nretry: 100\ndata: {"id":${id}}\nid: ${id}-a\n\nid: 9`,
      );
    });
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/stream?recipient=eve`;
  const program = new ForeignProgram(file, url);
  try {
    await until(async () => (await program.lastId()) >= 3, `${file} to come back twice: ${program.said}`);
  } finally {
    proxy.close();
  }
  expect(asked.slice(1, 3)).toEqual(['1-a', '2-a']);
  expect(
    messagesIn(await program.received())
      .map(({ id }) => id)
      .slice(0, 3),
  ).toEqual([1, 2, 3]);
});
