import { setTimeout as sleep } from 'node:timers/promises';
import { LoadClient } from '../client/load-client.js';
import { orRefused } from '../client/remote.js';
import { mercureOnDisk } from '../peers/mercure.js';
import { ntfy } from '../peers/ntfy.js';
import { Samples } from '../samples.js';

/** Devices before the measured ones: part of the cost of the first devices is the server's own. */
const WARM_UP = 100;

/** The memory of an open stream on which nothing happens. @type {import('../case.js').Case} */
export const idleMemory = {
  name: 'idle-memory',
  about: 'memory of a device on whose stream nothing happens',
  run: async ({ scale, peers, progress }) => {
    const compared = peers.filter((peer) => peer !== mercureOnDisk && peer !== ntfy);
    const samples = new Samples(progress);
    const counts = scale.quick ? [1000] : [1000, 9000];
    for (const count of counts) {
      for (const peer of compared) {
        const bytes = await measure(peer, count, scale.quick ? 300 : 2000);
        samples.add(name(count), peer.name, bytes);
      }
    }
    return counts.flatMap((count) =>
      samples.rows(name(count), 'bytes', compared, { target: { of: 'figure', atMost: 14 * 1024 } }),
    );
  },
};

/** @param {number} count */
const name = (count) => `memory of an idle device, ${count.toLocaleString('en')} open`;

/**
 * @param {import('../peers/peer.js').Peer} peer
 * @param {number} count
 * @param {number} rest milliseconds until freed memory is given back
 */
async function measure(peer, count, rest) {
  const server = await peer.start();
  const load = new LoadClient(peer, server);
  const bytes = await orRefused(async () => {
    await load.open(WARM_UP, ['warm-up']);
    await load.close();
    await sleep(rest);
    const before = server.residentBytes();
    await load.open(count);
    await sleep(rest);
    return (server.residentBytes() - before) / count;
  });
  await load.stop();
  await server.stop();
  return bytes;
}
