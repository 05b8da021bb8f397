import { LoadClient } from '../client/load-client.js';
import { orRefused } from '../client/remote.js';
import { FELL_SHORT, Samples } from '../samples.js';

const DEVICES = 100;
const RATES = [50, 500, 5000];

/** At most so many messages a second are timed, so that the load client is not the limit. */
const STAMPED = 500;

/** A server whose answers stay behind the rate by more than this cannot keep it. */
const KEPT = 0.95;

/** How long it takes from a publish to a device. @type {import('../case.js').Case} */
export const latency = {
  name: 'latency',
  about: 'from when a message is due to its arrival, at 50, 500 and 5,000 messages a second to 100 devices',
  run: async ({ scale, peers, progress }) => {
    const samples = new Samples(progress);
    for (let run = 0; run < scale.runs; run++) {
      for (const peer of peers) await measure(peer, scale.seconds, samples, progress);
    }
    return RATES.flatMap((rate) => [
      ...samples.rows(name(rate, 'p50'), 'ms', peers),
      ...samples.rows(name(rate, 'p99'), 'ms', peers, { targets: { Nchan: { of: 'ratio', atMost: 1 } } }),
    ]);
  },
};

/**
 * @param {number} rate
 * @param {'p50' | 'p99'} percentile
 */
const name = (rate, percentile) =>
  `latency to ${DEVICES} devices, ${rate.toLocaleString('en')} messages/s, ${percentile}`;

/**
 * @param {import('../peers/peer.js').Peer} peer
 * @param {number} seconds
 * @param {Samples} samples
 * @param {(line: string) => void} progress
 */
async function measure(peer, seconds, samples, progress) {
  const server = await peer.start();
  const load = new LoadClient(peer, server);
  await load.open(DEVICES);
  // A server that has just started runs code that is not compiled yet; a low rate alone would take minutes to mend that.
  const warm = await orRefused(() => load.pace({ rate: 500, seconds: seconds / 2, stampEvery: 1 }));
  if (typeof warm === 'string') progress(`latency, ${peer.name}, warming up: ${warm}`);
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
  await load.stop();
  await server.stop();
}

/**
 * @param {{ reached: number }} result
 * @param {number} rate
 * @param {number} microseconds
 * @returns {import('../case.js').Figure} milliseconds, or what rate it reached instead
 */
function figureOf({ reached }, rate, microseconds) {
  return reached < rate * KEPT
    ? `${FELL_SHORT}${Math.round(reached).toLocaleString('en')}/s`
    : microseconds / 1000;
}
