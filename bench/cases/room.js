import { calibrated } from '../calibrated.js';
import { LoadClient } from '../client/load-client.js';
import { orRefused } from '../client/remote.js';
import { OWN_INBOX } from '../client/template.js';
import { tidings } from '../peers/tidings.js';
import { Samples } from '../samples.js';

const ROOM = 'room';
const ALONE = { name: 'the room alone' };

/** Each device follows its own inbox, and all follow a room. @type {import('../case.js').Case} */
export const room = {
  name: 'room',
  about: '5,000 devices, each of its own inbox and one room, and messages to the room',
  run: async ({ scale, progress, ceiling }) => {
    const samples = new Samples(progress);
    const devices = scale.quick ? 1000 : 5000;
    const name = `${devices.toLocaleString('en')} devices of their inbox and a room, 256 publishers to the room`;
    /** @type {[string, string[]][]} */
    const ways = [
      [tidings.name, [OWN_INBOX, ROOM]],
      [ALONE.name, [ROOM]],
    ];
    for (let run = 0; run < scale.runs; run++) {
      for (const [whose, recipients] of ways) {
        samples.add(name, whose, await measure(devices, recipients, scale.seconds));
      }
      // Neither is always the first.
      ways.reverse();
    }
    return samples.rows(name, 'events/s', [tidings, ALONE], {
      targets: { [ALONE.name]: { of: 'ratio', atLeast: 1 / 1.3 } },
      ceiling: await ceiling.events(256),
    });
  },
};

/**
 * @param {number} devices
 * @param {readonly string[]} recipients
 * @param {number} seconds
 * @returns {Promise<import('../case.js').Figure>} events a second
 */
async function measure(devices, recipients, seconds) {
  const server = await tidings.start();
  const load = new LoadClient(tidings, server);
  const inFlight = 256;
  const run = await orRefused(async () => {
    await load.open(devices, recipients);
    return calibrated(seconds, { least: inFlight }, (requests) =>
      load.deliver({ inFlight, requests, recipient: ROOM }),
    );
  });
  await load.stop();
  await server.stop();
  return typeof run === 'string' ? run : run.deliveries / run.seconds;
}
