import { LoadClient } from '../client/load-client.js';
import { orRefused, Remote } from '../client/remote.js';
import { now } from '../client/template.js';
import { Cluster } from '../cluster/cluster.js';
import { fill } from '../cluster/fill.js';
import { withNats } from '../cluster/group.js';
import { tidings } from '../peers/tidings.js';
import { Samples } from '../samples.js';

const DEVICES = 3000;
/** The number of messages that each device missed: the newest of the log. */
const MISSED = 10;
const RECIPIENT = 'returning';
const PATIENCE_MILLISECONDS = 300_000;
const OWN = { name: 'a node that was away' };

/** The indexes of the node that has everything, and of the one that was away. */
const HERE = 0;
const AWAY = 1;

/** @type {import('../case.js').Case} */
export const clusterBehind = withNats({
  name: 'cluster-behind',
  about: 'a node that was away: how fast it catches up, and devices that come back to it meanwhile',
  run: async ({ scale, progress }) => {
    const behind = scale.quick ? 20_000 : 100_000;
    const samples = new Samples(progress);
    const catchUp = `catching up with ${behind.toLocaleString('en')} entries of one message`;
    const comeBack =
      `${DEVICES.toLocaleString('en')} devices come back to a node ${(behind / 2).toLocaleString('en')} entries ` +
      'behind, from its start until all are live';
    // The flushes of the servers slow down filling, and do not affect reading.
    const cluster = await Cluster.start(2, { sync: '2m' });
    for (let run = 0; run < scale.runs; run++) {
      const rate = await measureCatchUp(cluster, behind, `catch-up-${run}`);
      samples.add(catchUp, OWN.name, rate);
      const figure = await measureReturn(cluster, behind / 2, `return-${run}`, progress);
      samples.add(comeBack, OWN.name, figure);
    }
    await cluster.stop();
    return [
      ...samples.rows(catchUp, 'messages/s', [OWN], { target: { of: 'figure', atLeast: 20_000 } }),
      ...samples.rows(comeBack, 's', [OWN]),
    ];
  },
});

/**
 * @param {Cluster} cluster
 * @param {number} entries
 * @param {string} proposer
 * @returns {Promise<number>} entries a second, without the time of a start
 */
async function measureCatchUp(cluster, entries, proposer) {
  await cluster.stopNode(AWAY);
  await fill(cluster, entries, proposer);
  await cluster.caughtUp(HERE);
  const behind = await secondsToStart(cluster);
  await cluster.stopNode(AWAY);
  const inStep = await secondsToStart(cluster);
  return entries / (behind - inStep);
}

/** @param {Cluster} cluster */
async function secondsToStart(cluster) {
  const began = performance.now();
  await cluster.startNode(AWAY);
  await cluster.caughtUp(AWAY);
  return (performance.now() - began) / 1000;
}

/**
 * @param {Cluster} cluster
 * @param {number} entries
 * @param {string} proposer
 * @param {(line: string) => void} progress
 * @returns {Promise<import('../case.js').Figure>} seconds
 */
async function measureReturn(cluster, entries, proposer, progress) {
  const { port } = cluster.node(AWAY);
  await cluster.stopNode(AWAY);
  await fill(cluster, entries, proposer);
  await cluster.caughtUp(HERE);
  const cursor = await cursorAt(cluster.node(HERE).port);
  const load = new LoadClient(tidings, cluster.node(HERE));
  await load.publish({ inFlight: 1, requests: MISSED, recipient: RECIPIENT });
  await load.stop();
  const devices = new Remote(new URL('../client/returning-process.js', import.meta.url));
  const options = { port, recipient: RECIPIENT, cursor, count: DEVICES, messages: MISSED };
  const began = now();
  const [found] = await Promise.all([
    orRefused(() => devices.call('comeBack', { ...options, patience: PATIENCE_MILLISECONDS })),
    cluster.startNode(AWAY, { port }),
  ]);
  await devices.stop();
  if (typeof found === 'string') return found;
  const { at, refused, ended } = /** @type {{ at: number, refused: number, ended: number }} */ (found);
  progress(`devices found nobody ${refused} times, and were told to come again ${ended} times`);
  return (at - began) / 1e6;
}

/**
 * @param {number} port
 * @returns {Promise<string>} the cursor of a device that has everything
 */
async function cursorAt(port) {
  const { body } = await fetch(`http://127.0.0.1:${port}/stream?recipient=${RECIPIENT}`);
  let text = '';
  // Leaving the loop ends the stream.
  for await (const chunk of body ?? []) {
    text += Buffer.from(chunk).toString();
    const found = /^id: (\S+)$/m.exec(text)?.[1];
    if (found !== undefined) return found;
  }
  throw new Error('a stream has no cursor');
}
