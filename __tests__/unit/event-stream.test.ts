import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, test } from '@jest/globals';
import { openEventStream } from '../../src/sse/event-stream.ts';
import { until } from '../support/until.ts';

test('a stream that is ended is closed even if the client keeps its side open', async () => {
  let response: ServerResponse | undefined;
  const server = createServer((_, answer) => (response = answer)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ port: (server.address() as AddressInfo).port, allowHalfOpen: true });
  let received = '';
  client.on('data', (bytes) => (received += bytes.toString()));
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await until(() => response !== undefined);
  const socket = response?.socket;
  let closed = false;
  const stream = openEventStream(response as ServerResponse);
  stream.start({ drained: () => undefined, closed: () => (closed = true) });
  stream.write(Buffer.from('data: 1\n\n'));
  stream.end(Buffer.from('data: 2\n\n'), 'shutdown');
  await until(() => closed);
  expect(socket?.destroyed).toBe(true);
  await until(() => received.endsWith('data: 1\n\ndata: 2\n\n'));
  client.destroy();
  server.close();
});
