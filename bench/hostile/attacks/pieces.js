import { pause, RawConnection, requestBytes } from '../wire.js';

/** @typedef {import('../attack.js').Attack} Attack */

/** Bytes in a write. */
const WRITE = 64 * 1024;

/** Just below the limit of a body: it stays open until the service ends it. */
const BODY = 4 * 1024 * 1024 - 1;

/** Just below the limit of a WebSocket message. */
const FRAGMENTS = 16_000;

/** @type {Attack} */
export const chunks = {
  name: 'chunks',
  about: 'bodies that come in chunks of one byte',
  grants: (accounts) => ({ sendTo: [`${accounts}*`] }),
  attack: async (target) => {
    const [token] = target.tokens;
    const headers = { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' };
    const chunk = '1\r\nx\r\n';
    const count = Math.floor(WRITE / chunk.length);
    const block = Buffer.from(chunk.repeat(count));
    while (!target.signal.aborted) {
      const connection = new RawConnection(target, { reads: true });
      target.tally.sent++;
      await connection.write(requestBytes('/messages', { method: 'POST', token, headers }));
      for (let sent = 0; connection.open && sent + count < BODY; sent += count) await connection.write(block);
      await connection.closed;
      await pause(target, 50);
    }
  },
};

/** @type {Attack} */
export const fragments = {
  name: 'fragments',
  about: 'messages on a WebSocket in fragments of one byte',
  grants: (accounts) => ({ sendTo: [`${accounts}*`] }),
  attack: async (target) => {
    const [token] = target.tokens;
    const headers = {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    };
    const middle = Array.from({ length: FRAGMENTS - 2 }, () => fragment(0x00));
    const message = Buffer.concat([fragment(0x01), ...middle, fragment(0x80)]);
    while (!target.signal.aborted) {
      const connection = new RawConnection(target, { reads: true });
      await connection.write(requestBytes('/ws', { token, headers }));
      await connection.answer();
      while (connection.open) {
        target.tally.sent++;
        await connection.write(message);
      }
      await pause(target, 50);
    }
  },
};

/**
 * Returns a masked frame with one byte of text (RFC 6455 §5.2).
 *
 * @param {number} first byte: whether it is the last fragment, and the opcode
 */
function fragment(first) {
  return Buffer.from([first, 0x81, 0, 0, 0, 0, 0x78]);
}
