import { Agent } from 'node:http';
import { ask, pause, RawConnection, requestBytes } from '../wire.js';

/** @typedef {import('../attack.js').Attack} Attack */
/** @typedef {import('../attack.js').Target} Target */

/** The most streams of one account (`MAX_STREAMS_PER_CLIENT`). */
const STREAMS = 100;

/** The most addresses that one stream may follow, or watch. */
const ADDRESSES = 100;

/** Connections that are being opened at once. */
const OPENING = 50;

/** Longer than the six seconds after which an address that has left goes offline. */
const GRACE_MILLISECONDS = 6100;

const watched = Array.from({ length: ADDRESSES }, (_, index) => `watched-${index}`);
const rooms = Array.from({ length: ADDRESSES }, (_, index) => `room-${index}`);

/** @type {Attack} */
export const presence = {
  name: 'presence',
  about: '1,000 streams watch the same 100 addresses, whose devices come and go',
  // The last account is that of the devices that come and go.
  accounts: 11,
  grants: (accounts) => ({ read: [`${accounts}*`, 'watched-*'] }),
  crowd: (target) => {
    const query = watched.map((address) => `presence=${address}`).join('&');
    return openStreams(target, `/stream?${query}`, target.quick ? 300 : 1000);
  },
  attack: async (target) => {
    const { connections, index, signal, tally } = target;
    const own = watched.filter((_, place) => place % connections === index);
    const path = `/stream?recipient=${own.join('&recipient=')}`;
    const request = requestBytes(path, { token: target.tokens.at(-1) });
    // Each connection begins at a different time.
    await pause(target, (index * 1000) / connections);
    while (!signal.aborted) {
      const device = new RawConnection(target, { reads: true });
      tally.sent++;
      await device.write(request);
      await device.answer();
      device.close();
      await pause(target, GRACE_MILLISECONDS);
    }
  },
};

/** @type {Attack} */
export const batches = {
  name: 'batches',
  about: 'batches of 1,000 messages over 100 rooms, each followed by 500 streams',
  accounts: 5,
  grants: (accounts) => ({ read: [`${accounts}*`, 'room-*'], sendTo: ['room-*'] }),
  crowd: (target) =>
    openStreams(target, `/stream?recipient=${rooms.join('&recipient=')}`, target.quick ? 200 : 500),
  attack: async (target) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const messages = Array.from({ length: 1000 }, (_, index) => ({
      recipient: rooms[index % rooms.length],
      content: 'x'.repeat(20),
    }));
    const options = { method: 'POST', token: target.tokens[0], body: JSON.stringify(messages) };
    while (!target.signal.aborted) {
      await ask(target, agent, '/messages', options);
      // A publish over the rate is refused; this tries the next one soon enough.
      await pause(target, 250);
    }
    agent.destroy();
  },
};

/**
 * Opens streams that read and ignore everything; each account has as many as it may.
 *
 * @param {Target} target
 * @param {string} path
 * @param {number} count
 */
async function openStreams(target, path, count) {
  for (let first = 0; first < count; first += OPENING) {
    const request = requestBytes(path, { token: target.tokens[Math.floor(first / STREAMS)] });
    const some = Array.from({ length: OPENING }, async () => {
      const stream = new RawConnection(target, { reads: true });
      await stream.write(request);
      await stream.answer();
    });
    await Promise.all(some);
  }
}
