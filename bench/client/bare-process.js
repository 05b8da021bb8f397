// A server that does next to nothing, to see how fast the load client is by itself.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { serve } from './remote.js';
import { now } from './template.js';

serve({ listen, write });

/** A socket with this much waiting is skipped, as a server must do. */
const BUFFER = 256 * 1024;

/** @type {Set<import('node:net').Socket>} */
const devices = new Set();

/**
 * Takes requests on a free port: a GET opens a stream, anything else gets the same answer each time.
 *
 * @param {{ answer: string }} options
 * @returns {Promise<number>} the port
 */
async function listen({ answer }) {
  const response = Buffer.from(`HTTP/1.1 201 Created\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`);
  const server = createServer({ noDelay: true }, (socket) => {
    let length = 0;
    let received = 0;
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      if (length === 0) {
        const text = bytes.toString('latin1');
        if (text.startsWith('GET ')) {
          devices.add(socket);
          socket.write('HTTP/1.1 200 OK\r\n\r\n');
          return;
        }
        // All requests of a connection are of the same length.
        length = text.indexOf('\r\n\r\n') + 4 + Number(/content-length: (\d+)/i.exec(text)?.[1]);
      }
      received += bytes.length;
      if (received < length) return;
      received -= length;
      socket.write(response);
    });
    socket.on('close', () => devices.delete(socket));
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await once(server, 'listening');
  return /** @type {import('node:net').AddressInfo} */ (server.address()).port;
}

/**
 * Writes the same bytes to all streams, again and again, as fast as these take them.
 *
 * @param {{ slice: string, times: number, end: string }} options `end`: the last bytes
 * @returns {Promise<number>} when it began
 */
async function write({ slice, times, end }) {
  const began = now();
  const bytes = Buffer.from(slice);
  const left = new Map([...devices].map((socket) => [socket, times]));
  while (left.size > 0) {
    for (const [socket, rest] of left) {
      if (socket.writableLength > BUFFER) continue;
      socket.write(rest > 0 ? bytes : end);
      if (rest > 0) left.set(socket, rest - 1);
      else left.delete(socket);
    }
    await turn();
  }
  return began;
}
