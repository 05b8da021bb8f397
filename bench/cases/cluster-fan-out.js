import { calibrated } from '../calibrated.js';
import { LoadClient } from '../client/load-client.js';
import { orRefused } from '../client/remote.js';
import { Cluster } from '../cluster/cluster.js';
import { ALONE, THREE, withNats } from '../cluster/group.js';
import { tidings } from '../peers/tidings.js';
import { Samples } from '../samples.js';

const DEVICES = 3000;
const PUBLISHERS = [32, 256];

/** @type {import('../case.js').Case} */
export const clusterFanOut = withNats({
  name: 'cluster-fan-out',
  about: 'messages of one inbox to 1,000 devices on each of three nodes, and to 3,000 on one',
  run: async ({ scale, progress, ceiling }) => {
    const samples = new Samples(progress);
    for (let run = 0; run < scale.runs; run++) {
      const single = await tidings.start();
      await measure(single, ALONE.name, scale.seconds, samples);
      await single.stop();
      const cluster = await Cluster.start(3);
      await measure(cluster, THREE.name, scale.seconds, samples);
      await cluster.stop();
    }
    const rows = [];
    for (const inFlight of PUBLISHERS) {
      rows.push(
        ...samples.rows(rateName(inFlight), 'events/s', [THREE, ALONE], {
          ceiling: await ceiling.events(inFlight),
        }),
        ...samples.rows(costName(inFlight), 'µs', [THREE, ALONE]),
      );
    }
    return rows;
  },
});

/** @param {number} inFlight */
const rateName = (inFlight) => `fan-out to 3 × 1,000 devices, ${inFlight} publishers`;
/** @param {number} inFlight */
const costName = (inFlight) => `CPU of the nodes for one delivery, ${inFlight} publishers`;

/**
 * @param {import('../client/load-client.js').Server} server
 * @param {string} who
 * @param {number} seconds
 * @param {Samples} samples
 */
async function measure(server, who, seconds, samples) {
  const load = new LoadClient(tidings, server);
  await load.open(DEVICES);
  for (const inFlight of PUBLISHERS) {
    const run = await orRefused(() =>
      calibrated(seconds, { least: inFlight }, (requests) => load.deliver({ inFlight, requests })),
    );
    const isRefused = typeof run === 'string';
    samples.add(rateName(inFlight), who, isRefused ? run : run.deliveries / run.seconds);
    samples.add(costName(inFlight), who, isRefused ? run : (run.cpuSeconds * 1e6) / run.deliveries);
  }
  await load.stop();
}
