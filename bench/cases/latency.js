import { LoadClient } from '../client/load-client.js';
import { orRefused } from '../client/remote.js';
import { FELL_SHORT, Samples } from '../samples.js';

const DEVICES = 100;
const RATES = [50, 500, 5000];

/** The most messages a second that are timed, so that the load client is not the limit. */
const STAMPED = 500;

/** A server that answers less than this part of the rate cannot keep up. */
const KEPT = 0.95;

/**
 * V8 compiles code that runs often, on other threads: with few cores this makes the tail longer while a server is new.
 */
const WARM_UP = { rate: 2000, seconds: 8, stampEvery: 4 };

/** The time from a publish to a device. @type {import('../case.js').Case} */
export const latency = {
  name: 'latency',
  about: 'from when a message is due to its arrival, at 50, 500 and 5,000 messages a second to 100 devices',
  run: async ({ scale, peers, progress }) => {
    const samples = new Samples(progress);
    const servers = [];
    for (const peer of peers) servers.push(await warmServer(peer, scale.quick ? 0.1 : 1, progress));
    for (let run = 0; run < scale.runs; run++) {
      for (const server of servers) await measure(server, scale.seconds, samples);
    }
    for (const { load, server } of servers) {
      await load.stop();
      await server.stop();
    }
    return RATES.flatMap((rate) => [
      ...samples.rows(name(rate, 'p50'), 'ms', peers),
      ...samples.rows(name(rate, 'p99'), 'ms', peers, { targets: { Nchan: { of: 'ratio', atMost: 1 } } }),
    ]);
  },
};

/** @typedef {{ peer: import('../peers/peer.js').Peer, server: import('../server.js').Server, load: LoadClient }} Warm */

/**
 * @param {number} rate
 * @param {'p50' | 'p99'} percentile
 */
const name = (rate, percentile) =>
  `latency to ${DEVICES} devices, ${rate.toLocaleString('en')} messages/s, ${percentile}`;

/**
 * @param {import('../peers/peer.js').Peer} peer
 * @param {number} part of the warm-up
 * @param {(line: string) => void} progress
 * @returns {Promise<Warm>}
 */
async function warmServer(peer, part, progress) {
  const server = await peer.start();
  const load = new LoadClient(peer, server);
  await load.open(DEVICES);
  const warm = await orRefused(() => load.pace({ ...WARM_UP, seconds: WARM_UP.seconds * part }));
  if (typeof warm === 'string') progress(`latency, ${peer.name}, warming up: ${warm}`);
  return { peer, server, load };
}

/**
 * @param {Warm} server
 * @param {number} seconds
 * @param {Samples} samples
 */
async function measure({ peer, load }, seconds, samples) {
  for (const rate of RATES) {
    const paced = { rate, stampEvery: Math.max(1, rate / STAMPED) };
    const result = await orRefused(async () => {
      await load.pace({ ...paced, seconds: seconds / 4 });
      return load.pace({ ...paced, seconds });
    });
    for (const percentile of /** @type {const} */ (['p50', 'p99'])) {
      const figure = typeof result === 'string' ? result : figureOf(result, rate, result[percentile]);
      samples.add(name(rate, percentile), peer.name, figure);
    }
  }
}

/**
 * @param {{ reached: number }} result
 * @param {number} rate
 * @param {number} microseconds
 * @returns {import('../case.js').Figure} milliseconds, or the rate that it reached instead
 */
function figureOf({ reached }, rate, microseconds) {
  return reached < rate * KEPT
    ? `${FELL_SHORT}${Math.round(reached).toLocaleString('en')}/s`
    : microseconds / 1000;
}
