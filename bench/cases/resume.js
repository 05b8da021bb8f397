import { orRefused, Remote } from '../client/remote.js';
import { get } from '../peers/peer.js';
import { tidings } from '../peers/tidings.js';
import { Samples } from '../samples.js';
import { StoredLog } from '../stored-log.js';

const BEHIND = 100;
const SMALL = 10_000;

/** The cost of a short absence, in a large and in a small log. @type {import('../case.js').Case} */
export const resume = {
  name: 'resume',
  about: 'a device 100 messages behind, in a log of 10 thousand and in one of 5 million messages',
  run: async ({ scale, largeLog, progress }) => {
    // The number of devices that come back, each of another inbox.
    const times = scale.quick ? 25 : 50;
    const samples = new Samples(progress);
    const name = `a device ${BEHIND} behind in a log of ${largeLog.messages.toLocaleString('en')}, until it is live`;
    const other = { name: `in one of ${SMALL.toLocaleString('en')}` };
    const small = await StoredLog.spread(SMALL);
    const large = await largeLog.stored();
    for (let run = 0; run < scale.runs; run++) {
      samples.add(name, other.name, ...(await measure(small, times)));
      samples.add(name, tidings.name, ...(await measure(large, times)));
    }
    small.remove();
    return samples.rows(name, 'ms', [tidings, other], {
      targets: { [other.name]: { of: 'ratio', atMost: 1.5 } },
    });
  },
};

/**
 * @param {StoredLog} log
 * @param {number} devices that come back, one after the other
 * @returns {Promise<import('../case.js').Figure[]>} milliseconds
 */
async function measure(log, devices) {
  const server = await log.start();
  const { port } = server;
  const client = new Remote(new URL('../client/catch-up-process.js', import.meta.url));
  const times = [];
  for (let device = 0; device < devices; device++) {
    const recipient = `box-${String(device).padStart(5, '0')}`;
    const after = await cursor(port, recipient);
    const text = get(port, `/stream?recipient=${recipient}&lastEventId=${after}`);
    const catchUp = () => client.call('catchUp', { port, text, count: 1, messages: BEHIND });
    times.push(await orRefused(async () => Number(await catchUp()) / 1000));
  }
  await client.stop();
  await server.stop();
  return times;
}

/**
 * @param {number} port
 * @param {string} recipient
 * @returns {Promise<number>} the position of a device that missed the newest messages
 */
async function cursor(port, recipient) {
  const query = `recipient=${recipient}&before=latest&limit=${BEHIND + 1}`;
  const response = await fetch(`http://127.0.0.1:${port}/messages?${query}`);
  const { messages } = /** @type {{ messages: { id: number }[] }} */ (await response.json());
  return messages.length > BEHIND ? (messages[0]?.id ?? 0) : 0;
}
