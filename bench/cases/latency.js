import { Loaded } from '../client/loaded.js';
import { orRefused } from '../client/remote.js';
import { nchan } from '../peers/nchan.js';
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

/** The rate of the warm-up of a server that loses messages at the usual one. */
const GENTLE = 250;

/** The time from a publish to a device. @type {import('../case.js').Case} */
export const latency = {
  name: 'latency',
  about: 'from when a message is due to its arrival, at 50, 500 and 5,000 messages a second to 100 devices',
  run: async ({ scale, peers, progress }) => {
    const samples = new Samples(progress);
    const part = scale.quick ? 0.1 : 1;
    const servers = [];
    for (const peer of peers) servers.push({ peer, loaded: await warmServer(peer, part, progress) });
    for (let run = 0; run < scale.runs; run++) {
      for (const server of servers) {
        for (const rate of RATES) {
          const complete = await measure(server.peer, server.loaded, rate, scale.seconds, samples);
          if (complete) continue;
          await server.loaded.stop();
          server.loaded = await warmServer(server.peer, part, progress);
        }
      }
    }
    for (const { loaded } of servers) await loaded.stop();
    return RATES.flatMap((rate) => [
      ...samples.rows(name(rate, 'p50'), 'ms', peers),
      ...samples.rows(name(rate, 'p99'), 'ms', peers, {
        targets: { [nchan.name]: { of: 'ratio', atMost: 1 } },
      }),
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
 * Starts a server and warms it up; at a lower rate, or not at all, if it loses messages.
 *
 * @param {import('../peers/peer.js').Peer} peer
 * @param {number} part of the warm-up
 * @param {(line: string) => void} progress
 * @returns {Promise<Loaded>}
 */
async function warmServer(peer, part, progress) {
  for (const rate of [WARM_UP.rate, GENTLE]) {
    const loaded = await Loaded.start(peer, DEVICES);
    const warm = await orRefused(() =>
      loaded.load.pace({ ...WARM_UP, rate, seconds: WARM_UP.seconds * part }),
    );
    if (typeof warm !== 'string') return loaded;
    progress(`latency, ${peer.name}, warming up with ${rate} messages/s: ${warm}`);
    await loaded.stop();
  }
  return Loaded.start(peer, DEVICES);
}

/**
 * @param {import('../peers/peer.js').Peer} peer
 * @param {Loaded} loaded
 * @param {number} rate
 * @param {number} seconds
 * @param {Samples} samples
 * @returns {Promise<boolean>} whether its devices got everything, and can be used again
 */
async function measure(peer, { load }, rate, seconds, samples) {
  const paced = { rate, stampEvery: Math.max(1, rate / STAMPED) };
  const result = await orRefused(async () => {
    await load.pace({ ...paced, seconds: seconds / 4 });
    return load.pace({ ...paced, seconds });
  });
  for (const percentile of /** @type {const} */ (['p50', 'p99'])) {
    const figure = typeof result === 'string' ? result : figureOf(result, rate, result[percentile]);
    samples.add(name(rate, percentile), peer.name, figure);
  }
  return typeof result !== 'string';
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
