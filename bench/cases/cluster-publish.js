import { calibrated } from '../calibrated.js';
import { LoadClient } from '../client/load-client.js';
import { orRefused, Remote } from '../client/remote.js';
import { Cluster } from '../cluster/cluster.js';
import { ALONE, THREE, withNats } from '../cluster/group.js';
import { tidings } from '../peers/tidings.js';
import { Samples } from '../samples.js';

/** @typedef {import('../case.js').Row} Row */
/** @typedef {import('../case.js').Target} Target */

/** @type {{ name: string, inFlight: number, batch?: number, target?: Target }[]} */
const LOADS = [
  { name: '1 publisher', inFlight: 1 },
  { name: '32 publishers', inFlight: 32 },
  { name: '256 publishers', inFlight: 256, target: { of: 'figure', atLeast: 4000 } },
  {
    name: '32 publishers, batches of 100',
    inFlight: 32,
    batch: 100,
    target: { of: 'figure', atLeast: 18_000 },
  },
];

/** The milliseconds between the publishes whose lag is measured. */
const LAG_PAUSE = 5;

/** @type {import('../case.js').Case} */
export const clusterPublish = withNats({
  name: 'cluster-publish',
  about: 'acknowledged publishes on three nodes, their p50 and p99, and the lag of the other nodes',
  run: async ({ scale, progress, ceiling }) => {
    const samples = new Samples(progress);
    const cluster = await Cluster.start(3);
    const single = await tidings.start();
    const contestants = /** @type {const} */ ([
      [ALONE, single, new LoadClient(tidings, single)],
      [THREE, cluster, new LoadClient(tidings, cluster)],
    ]);
    for (let run = 0; run < scale.runs; run++) {
      for (const load of LOADS) {
        for (const [who, server, client] of contestants) {
          await measure({ ...load, seconds: scale.seconds }, server, client, who.name, samples);
        }
      }
      for (const inFlight of [0, 32]) await measureLag(cluster, contestants[1][2], inFlight, scale, samples);
    }
    for (const [, server, client] of contestants) {
      await client.stop();
      await server.stop();
    }
    const peers = [THREE, ALONE];
    /** @type {Row[]} */
    const rows = [];
    for (const { name, inFlight, batch, target } of LOADS) {
      const most = await ceiling.posts(inFlight, batch);
      const more = { ceiling: most, ...(target === undefined ? {} : { target }) };
      rows.push(...samples.rows(`acknowledged, ${name}`, 'messages/s', peers, more));
      for (const part of /** @type {const} */ (['p50', 'p99']))
        rows.push(...samples.rows(answerName(part, name), 'ms', peers));
      rows.push(...samples.rows(costName(name), 'µs', peers));
    }
    for (const inFlight of [0, 32])
      for (const part of /** @type {const} */ (['p50', 'p99']))
        rows.push(...samples.rows(lagName(part, inFlight), 'ms', [THREE]));
    return rows;
  },
});

/** @param {'p50' | 'p99'} part @param {string} load */
const answerName = (part, load) => `${part} of the answer, ${load}`;
/** @param {string} load */
const costName = (load) => `CPU of the nodes for one message, ${load}`;
/** @param {'p50' | 'p99'} part @param {number} inFlight */
const lagName = (part, inFlight) =>
  `${part} from the answer to the streams of other nodes, ${inFlight === 0 ? 'at rest' : `beside ${inFlight} publishers`}`;

/**
 * @param {{ name: string, inFlight: number, batch?: number, seconds: number }} load
 * @param {import('../client/load-client.js').Server} server
 * @param {LoadClient} client
 * @param {string} who
 * @param {Samples} samples
 */
async function measure({ name, inFlight, batch, seconds }, server, client, who, samples) {
  const run = await orRefused(() =>
    calibrated(seconds, { least: inFlight }, async (requests) => {
      const cpu = server.cpuSeconds();
      const published = await client.publish({ inFlight, batch, requests, timing: true });
      return { ...published, cpuSeconds: server.cpuSeconds() - cpu };
    }),
  );
  const isRefused = typeof run === 'string';
  samples.add(`acknowledged, ${name}`, who, isRefused ? run : run.messages / run.seconds);
  for (const part of /** @type {const} */ (['p50', 'p99']))
    samples.add(answerName(part, name), who, isRefused ? run : run.answers[part] / 1000);
  samples.add(costName(name), who, isRefused ? run : (run.cpuSeconds * 1e6) / run.messages);
}

/**
 * @param {Cluster} cluster
 * @param {LoadClient} client
 * @param {number} inFlight publishers beside it
 * @param {import('../case.js').Scale} scale
 * @param {Samples} samples
 */
async function measureLag(cluster, client, inFlight, scale, samples) {
  const probe = new Remote(new URL('../client/lag-process.js', import.meta.url));
  const [port, ...others] = cluster.ports;
  const count = scale.quick ? 50 : 300;
  const beside = async () => {
    if (inFlight === 0) return undefined;
    return calibrated(scale.seconds, { least: inFlight }, (requests) =>
      client.publish({ inFlight, requests, recipient: 'another' }),
    );
  };
  const [lag] = await Promise.all([
    orRefused(() => probe.call('lag', { port, others, count, pause: LAG_PAUSE })),
    beside(),
  ]);
  await probe.stop();
  const figures = /** @type {string | import('../client/percentiles.js').Percentiles} */ (lag);
  for (const part of /** @type {const} */ (['p50', 'p99'])) {
    const figure = typeof figures === 'string' ? figures : figures[part] / 1000;
    samples.add(lagName(part, inFlight), THREE.name, figure);
  }
}
