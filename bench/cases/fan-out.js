import { calibrated } from '../calibrated.js';
import { Loaded } from '../client/loaded.js';
import { orRefused } from '../client/remote.js';
import { nchan } from '../peers/nchan.js';
import { plain } from '../peers/plain.js';
import { Samples } from '../samples.js';

const DEVICES = 1000;

/** Everybody follows one inbox. @type {import('../case.js').Case} */
export const fanOut = {
  name: 'fan-out',
  about: 'messages of one inbox to 1,000 devices, and what a delivery costs the server',
  run: async ({ scale, peers, progress, ceiling }) => {
    const samples = new Samples(progress);
    for (let run = 0; run < scale.runs; run++) {
      for (const peer of peers) await measure(peer, scale.seconds, samples);
    }
    return [
      ...samples.rows(rateName(32), 'events/s', peers, {
        targets: { [nchan.name]: { of: 'ratio', atLeast: 4 } },
        ceiling: await ceiling.events(32),
      }),
      ...samples.rows(rateName(256), 'events/s', peers, {
        targets: {
          [nchan.name]: { of: 'ratio', atLeast: 10 },
          [plain.name]: { of: 'ratio', atLeast: 30 },
        },
        ceiling: await ceiling.events(256),
      }),
      ...samples.rows(costName(32), 'µs', peers),
      ...samples.rows(costName(256), 'µs', peers, {
        targets: { [nchan.name]: { of: 'ratio', atMost: 0.1 } },
      }),
    ];
  },
};

/** @param {number} inFlight */
const rateName = (inFlight) => `fan-out to ${DEVICES.toLocaleString('en')} devices, ${inFlight} publishers`;
/** @param {number} inFlight */
const costName = (inFlight) => `CPU of the server for one delivery, ${inFlight} publishers`;

/**
 * @param {import('../peers/peer.js').Peer} peer
 * @param {number} seconds
 * @param {Samples} samples
 */
async function measure(peer, seconds, samples) {
  let loaded = await Loaded.start(peer, DEVICES);
  for (const inFlight of [32, 256]) {
    const { load } = loaded;
    const run = await orRefused(() =>
      calibrated(seconds, { least: inFlight }, (requests) => load.deliver({ inFlight, requests })),
    );
    const refused = typeof run === 'string';
    const rate = refused ? run : run.deliveries / run.seconds;
    samples.add(rateName(inFlight), peer.name, rate);
    samples.add(costName(inFlight), peer.name, refused ? run : (run.cpuSeconds * 1e6) / run.deliveries);
    if (refused) loaded = await loaded.restart();
  }
  await loaded.stop();
}
