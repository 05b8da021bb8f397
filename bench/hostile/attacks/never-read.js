import { pause, RawConnection, requestBytes } from '../wire.js';

/** @typedef {import('../attack.js').Attack} Attack */
/** @typedef {import('../attack.js').Target} Target */

/** Bytes of requests in one write. */
const WRITE = 64 * 1024;

/** The number of messages, which fill more than a page. */
const MESSAGES = 1200;

/** Requests for pages of 1 MiB. @type {Attack} */
export const unreadPages = {
  name: 'unread-pages',
  about: 'requests for pages of 1 MiB in one write, answers never read',
  store: async (url) => {
    const content = 'x'.repeat(1000);
    const messages = Array.from({ length: MESSAGES / 2 }, () => ({ recipient: 'mallory-0', content }));
    for (let half = 0; half < 2; half++) {
      await fetch(`${url}/messages`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(messages),
      });
    }
  },
  attack: (target) => neverRead(target, requestBytes('/messages?limit=1000', { token: target.tokens[0] })),
};

/** Requests for files of the page, which need no token. @type {Attack} */
export const unreadFiles = {
  name: 'unread-files',
  about: 'requests for client.js in one write, answers never read, without a token',
  accounts: 0,
  attack: (target) => neverRead(target, requestBytes('/client.js')),
};

/**
 * Writes the same request many times, and begins again when the service closes the connection.
 *
 * @param {Target} target
 * @param {Buffer} request
 */
async function neverRead(target, request) {
  const count = Math.floor(WRITE / request.length);
  const requests = Buffer.concat(Array.from({ length: count }, () => request));
  while (!target.signal.aborted) {
    const connection = new RawConnection(target, { reads: false });
    await connection.write(requests);
    target.tally.sent += count;
    await connection.closed;
    // Do not ask a service that closes at once thousands of times a second.
    await pause(target, 50);
  }
}
