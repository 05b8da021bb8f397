import { setTimeout as sleep } from 'node:timers/promises';
import { Remote } from '../client/remote.js';
import { CONTENT } from '../client/template.js';
import { Cluster, nameOf, ready, STREAM } from '../cluster/cluster.js';
import { withNats } from '../cluster/group.js';
import { tidings } from '../peers/tidings.js';
import { Samples } from '../samples.js';

/** @typedef {import('../case.js').Target} Target */

const NODES = 3;
const OWN = { name: 'three nodes' };

/**
 * The time of undisturbed publishing before a fault, and the number of publishes after which the service has recovered.
 */
const CALM_MILLISECONDS = 1500;
const RECOVERED_SUCCESSES = 50;
const PATIENCE_MILLISECONDS = 60_000;

const LEADER = 'longest stall of publishing, the NATS leader killed';
const SERVER = 'longest stall of publishing on a node, its own NATS server killed';
const NODE = 'longest stall of publishing on the other nodes, a node killed';
const LEASE = 'time until another node has the lease, its holder killed';

/** @type {import('../case.js').Case} */
export const clusterFaults = withNats({
  name: 'cluster-faults',
  about:
    'the longest stall of publishing when a NATS server or a node is killed, and the time until a lease is taken',
  run: async ({ scale, progress }) => {
    const samples = new Samples(progress);
    const cluster = await Cluster.start(NODES);
    const publishers = new Remote(new URL('../client/steady-process.js', import.meta.url));
    for (let run = 0; run < scale.runs; run++) {
      for (const fault of [killServer, killNode]) await fault(cluster, publishers, samples);
    }
    await publishers.stop();
    await cluster.stop();
    const atMost = (/** @type {number} */ seconds) =>
      /** @type {Target} */ ({ of: 'figure', atMost: seconds });
    return [
      ...samples.rows(LEADER, 's', [OWN], { target: atMost(6) }),
      ...samples.rows(SERVER, 's', [OWN], { target: atMost(13) }),
      ...samples.rows(NODE, 's', [OWN]),
      ...samples.rows(LEASE, 's', [OWN]),
    ];
  },
});

/**
 * Kills the leader of the stream, then another server, and starts each again. Nodes that are connected to the killed
 * server must find another one; the others wait for an election at most.
 *
 * @param {Cluster} cluster
 * @param {Remote} publishers
 * @param {Samples} samples
 */
async function killServer(cluster, publishers, samples) {
  for (const isLeader of [true, false]) {
    const leader = await cluster.servers.leaderOf(STREAM);
    const homes = await Promise.all(Array.from({ length: NODES }, (_, index) => cluster.serverOf(index)));
    const follower = homes.find((home) => home !== leader);
    const killed = isLeader ? leader : follower;
    // All nodes may be at the leader.
    if (killed === undefined || killed < 0) continue;
    const stalls = await stallsOf(cluster, publishers, () => cluster.servers.end(killed));
    await cluster.servers.startAgain(killed);
    await Promise.all(cluster.ports.map(ready));
    const at = stalls.filter((_, index) => homes[index] === killed);
    const elsewhere = stalls.filter((_, index) => homes[index] !== killed);
    if (at.length > 0) samples.add(SERVER, OWN.name, Math.max(...at));
    if (isLeader && elsewhere.length > 0) samples.add(LEADER, OWN.name, Math.max(...elsewhere));
  }
}

/**
 * Kills the node that holds the lease, and starts it again.
 *
 * @param {Cluster} cluster
 * @param {Remote} publishers
 * @param {Samples} samples
 */
async function killNode(cluster, publishers, samples) {
  const holder = await holderOf(cluster, 0);
  const killed = Math.max(
    0,
    [0, 1, 2].findIndex((index) => nameOf(index) === holder),
  );
  const { port } = cluster.node(killed);
  const other = killed === 0 ? 1 : 0;
  let takeover = NaN;
  const stalls = await stallsOf(cluster, publishers, async () => {
    const began = performance.now();
    await cluster.stopNode(killed, 'SIGKILL');
    while (performance.now() - began < PATIENCE_MILLISECONDS) {
      const now = await holderOf(cluster, other);
      if (now !== undefined && now !== holder) break;
      await sleep(10);
    }
    takeover = (performance.now() - began) / 1000;
  });
  samples.add(LEASE, OWN.name, takeover);
  samples.add(NODE, OWN.name, Math.max(...stalls));
  await cluster.startNode(killed, { port });
}

/** @param {Cluster} cluster @param {number} index of the node that is asked */
async function holderOf(cluster, index) {
  return (await cluster.view(index)).lease?.name;
}

/**
 * Publishes on all nodes while something happens, until the nodes that still run have recovered.
 *
 * @param {Cluster} cluster
 * @param {Remote} publishers
 * @param {() => Promise<void>} happen
 * @returns {Promise<number[]>} for each node that still runs, the longest time without an answer, in seconds
 */
async function stallsOf(cluster, publishers, happen) {
  const texts = cluster.ports.map((port) => [port, tidings.publish(port, 'inbox', [CONTENT])]);
  await publishers.call('begin', { texts });
  await sleep(CALM_MILLISECONDS);
  await publishers.call('mark', { ports: cluster.ports });
  await happen();
  const ports = cluster.ports;
  const asked = async () => {
    const answer = publishers.call('gaps', { ports });
    return /** @type {{ longest: number, successes: number }[]} */ (await answer);
  };
  const end = performance.now() + PATIENCE_MILLISECONDS;
  // It takes some seconds until a killed server is noticed; until then publishing may go on.
  await sleep(2 * CALM_MILLISECONDS);
  const before = await asked();
  const recovered = (/** @type {{ successes: number }[]} */ found) =>
    found.every(({ successes }, index) => successes >= (before[index]?.successes ?? 0) + RECOVERED_SUCCESSES);
  while (performance.now() < end && !recovered(await asked())) await sleep(100);
  const found = await asked();
  await publishers.call('end');
  return found.map(({ longest }) => longest / 1e6);
}
