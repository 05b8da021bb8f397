import { calibrated } from '../calibrated.js';
import { INBOX, LoadClient } from '../client/load-client.js';
import { orRefused, Remote } from '../client/remote.js';
import { MANY_SENDERS } from '../client/template.js';
import { get } from '../peers/peer.js';
import { tidings } from '../peers/tidings.js';
import { Samples } from '../samples.js';

const IN_FLIGHT = 32;
const QUESTIONS = 10;
const QUIET = { name: 'without the questions' };

/** The list of conversations of an address, read while messages come in. @type {import('../case.js').Case} */
export const conversations = {
  name: 'conversations',
  about: 'the first page of an address with 100,000 messages and 1,000 peers, asked while 32 publish to it',
  run: async ({ scale, progress, ceiling }) => {
    const samples = new Samples(progress);
    const messages = scale.quick ? 20_000 : 100_000;
    const asked = `conversations of an address with ${messages.toLocaleString('en')} messages, asked ${QUESTIONS} times a second`;
    const rateName = `acknowledged, ${IN_FLIGHT} in flight, while they are asked for`;
    for (let run = 0; run < scale.runs; run++) {
      const { quiet, rate, p50, p99 } = await measure(messages, scale.seconds);
      samples.add(rateName, QUIET.name, quiet);
      samples.add(rateName, tidings.name, rate);
      samples.add(`${asked}, p50`, tidings.name, p50);
      samples.add(`${asked}, p99`, tidings.name, p99);
    }
    return [
      ...samples.rows(`${asked}, p50`, 'ms', [tidings], { target: { of: 'figure', atMost: 10 } }),
      ...samples.rows(`${asked}, p99`, 'ms', [tidings]),
      ...samples.rows(rateName, 'messages/s', [tidings, QUIET], {
        targets: { [QUIET.name]: { of: 'ratio', atLeast: 0.8 } },
        ceiling: await ceiling.posts(IN_FLIGHT),
      }),
    ];
  },
};

/**
 * @param {number} messages that the address has at the start
 * @param {number} seconds
 * @returns {Promise<Record<'quiet' | 'rate' | 'p50' | 'p99', import('../case.js').Figure>>} messages a second without
 *   and with the questions; milliseconds until an answer
 */
async function measure(messages, seconds) {
  const server = await tidings.start();
  const load = new LoadClient(tidings, server);
  const asker = new Remote(new URL('../client/questions-process.js', import.meta.url));
  const result = await orRefused(async () => {
    const single = { inFlight: IN_FLIGHT, sender: MANY_SENDERS };
    await load.publish({ ...single, requests: messages / 100, batch: 100 });
    const quiet = await calibrated(seconds, { least: IN_FLIGHT }, (requests) =>
      load.publish({ ...single, requests }),
    );
    const text = get(server.port, `/conversations?recipient=${INBOX}`);
    await asker.call('ask', { port: server.port, text, rate: QUESTIONS });
    const busy = await load.publish({ ...single, requests: quiet.messages });
    const { p50, p99 } = /** @type {import('../client/percentiles.js').Percentiles} */ (
      await asker.call('answers')
    );
    return {
      quiet: quiet.messages / quiet.seconds,
      rate: busy.messages / busy.seconds,
      p50: p50 / 1000,
      p99: p99 / 1000,
    };
  });
  await asker.stop();
  await load.stop();
  await server.stop();
  return typeof result === 'string' ? { quiet: result, rate: result, p50: result, p99: result } : result;
}
