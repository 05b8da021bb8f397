import { calibrated } from '../calibrated.js';
import { LoadClient } from '../client/load-client.js';
import { orRefused } from '../client/remote.js';
import { Cluster } from '../cluster/cluster.js';
import { CpuShare } from '../cluster/cpu-share.js';
import { withNats } from '../cluster/group.js';
import { tidings } from '../peers/tidings.js';
import { Samples } from '../samples.js';

const CORES = 0.25;
const DEVICES = 900;
const PUBLISHERS = 96;
const NODES = [1, 2, 3];

/** Three nodes must do this many times as much as one. */
const GROWTH = 2.7;

/** @type {import('../case.js').Case} */
export const clusterNodes = withNats({
  name: 'cluster-nodes',
  about: 'events a second of one, two and three nodes of a cluster, each held to a quarter of a core',
  run: async ({ scale, progress, note }) => {
    const shares = NODES.map((count) => CpuShare.make(String(count), CORES));
    if (shares.includes(undefined)) {
      for (const share of shares) share?.remove();
      note('Nodes cannot be held to a part of a core: that needs root, and a control group for the CPU.');
      return [];
    }
    const samples = new Samples(progress);
    for (let run = 0; run < scale.runs; run++) {
      for (const count of NODES) {
        const cluster = await Cluster.start(count);
        for (const [index, { pid }] of cluster.nodes.entries()) shares[index]?.hold(pid);
        await measure(cluster, scale.seconds, samples);
        await cluster.stop();
      }
    }
    for (const share of shares) share?.remove();
    const one = { against: nodesName(1), other: samples.median(NAME, nodesName(1)) };
    return NODES.map((count) => ({
      ...{
        name: `${NAME}, ${nodesName(count)}`,
        unit: 'events/s',
        figure: samples.median(NAME, nodesName(count)),
      },
      ...(count === 1 ? {} : one),
      ...(count === 3 ? { target: { of: /** @type {const} */ ('ratio'), atLeast: GROWTH } } : {}),
    }));
  },
});

const NAME = `a quarter of a core for each node, ${DEVICES} devices on each, ${PUBLISHERS} publishers`;
/** @param {number} count */
const nodesName = (count) => (count === 1 ? 'one node' : `${count} nodes`);

/**
 * @param {Cluster} cluster
 * @param {number} seconds
 * @param {Samples} samples
 */
async function measure(cluster, seconds, samples) {
  const nodes = cluster.ports.length;
  const load = new LoadClient(tidings, cluster);
  const run = await orRefused(async () => {
    await load.open(DEVICES * nodes);
    return calibrated(seconds, { least: PUBLISHERS }, (requests) =>
      load.deliver({ inFlight: PUBLISHERS, requests }),
    );
  });
  samples.add(NAME, nodesName(nodes), typeof run === 'string' ? run : run.deliveries / run.seconds);
  await load.stop();
}
