import { connect } from 'node:net';

/**
 * Keeps a number of publishes in flight, each on a connection of its own, over a client with next to no cost of its
 * own: bytes prepared once, and of an answer only its status and its length are looked at.
 *
 * @param {{ port: number, inFlight: number, total: number, body: string }} options `total` requests in all, each with
 *   the JSON `body`
 * @returns {Promise<number>} milliseconds from the first byte out to the last answer
 */
export async function publishAll({ port, inFlight, total, body }) {
  const request = Buffer.from(
    `POST /messages HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  let toSend = total;
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: Math.min(inFlight, total) }, () => publisher(port, request, () => toSend-- > 0)),
  );
  return performance.now() - begin;
}

/**
 * @param {number} port
 * @param {Buffer} request
 * @param {() => boolean} next whether there is another to send
 * @returns {Promise<void>}
 */
function publisher(port, request, next) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let answer = '';
    const send = () => {
      if (next()) socket.write(request);
      else socket.end(() => resolve());
    };
    socket.setEncoding('latin1');
    socket.on('error', reject);
    socket.on('connect', send);
    socket.on('data', (/** @type {string} */ text) => {
      answer += text;
      const header = answer.indexOf('\r\n\r\n');
      if (header === -1) return;
      const length = Number(/content-length: (\d+)/i.exec(answer)?.[1] ?? 0);
      if (answer.length < header + 4 + length) return;
      if (!answer.startsWith('HTTP/1.1 201')) {
        reject(new Error(`not stored: ${answer.slice(0, 300)}`));
        socket.destroy();
        return;
      }
      answer = '';
      send();
    });
  });
}
