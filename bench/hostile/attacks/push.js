import { createECDH, randomBytes } from 'node:crypto';
import { pause, RawConnection, requestBytes } from '../wire.js';

/** @typedef {import('../attack.js').Attack} Attack */

/**
 * A name that leads nowhere (RFC 6761 §6.4). It is not looked up, because a person's own messages are not pushed to
 * them.
 */
const HOST = 'push.invalid';

/** The number of subscriptions in one write, after which one of their recipients gets a message. */
const SUBSCRIPTIONS = 20;

/** @type {Attack} */
export const push = {
  name: 'push',
  about: 'one device subscribes for as many recipients as possible, and these get messages',
  // The grants of a backend, which may publish as fast as it likes.
  grants: (accounts) => ({ read: [`${accounts}*`], sendTo: [`${accounts}*`], rate: 1_000_000 }),
  start: { args: ['--push-delay-seconds', '0', '--push-hosts', HOST] },
  attack: async (target) => {
    const { index, signal, tally, tokens } = target;
    const subscription = {
      endpoint: `https://${HOST}/device`,
      keys: {
        p256dh: createECDH('prime256v1').generateKeys('base64url'),
        auth: randomBytes(16).toString('base64url'),
      },
    };
    const post = (/** @type {string} */ path, /** @type {object} */ body) =>
      requestBytes(path, { method: 'POST', token: tokens[0], body: JSON.stringify(body) });
    let count = 0;
    while (!signal.aborted) {
      const connection = new RawConnection(target, { reads: true });
      while (connection.open) {
        const recipients = Array.from({ length: SUBSCRIPTIONS }, () => `mallory-room-${index}-${count++}`);
        const requests = [
          ...recipients.map((recipient) => post('/push-subscriptions', { recipient, subscription })),
          post('/messages', { recipient: recipients[0], content: 'x' }),
        ];
        tally.sent += requests.length;
        await connection.write(Buffer.concat(requests));
        await pause(target, 10);
      }
      await pause(target, 50);
    }
  },
};
