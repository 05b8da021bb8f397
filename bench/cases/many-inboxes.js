import { calibrated } from '../calibrated.js';
import { LoadClient } from '../client/load-client.js';
import { orRefused } from '../client/remote.js';
import { OWN_INBOX } from '../client/template.js';
import { centrifugo } from '../peers/centrifugo.js';
import { mercureInMemory, mercureOnDisk } from '../peers/mercure.js';
import { nchan } from '../peers/nchan.js';
import { tidings } from '../peers/tidings.js';
import { Samples } from '../samples.js';

const SINGLE = [tidings, nchan, centrifugo, mercureInMemory, mercureOnDisk];

/** Each device has its own inbox. @type {import('../case.js').Case} */
export const manyInboxes = {
  name: 'many-inboxes',
  about: '5,000 devices, each of its own inbox, and messages spread evenly',
  run: async ({ scale, peers, progress, ceiling }) => {
    const samples = new Samples(progress);
    const inboxes = scale.quick ? 1000 : 5000;
    const singleName = `${inboxes.toLocaleString('en')} inboxes of a device each, single POSTs`;
    const batchName = `${inboxes.toLocaleString('en')} inboxes of a device each, batches of 100`;
    const other = { name: `${nchan.name}, single POSTs` };
    const compared = peers.filter((peer) => SINGLE.includes(peer));
    for (let run = 0; run < scale.runs; run++) {
      for (const peer of compared) {
        const single = await measure(peer, inboxes, { inFlight: 256, batch: 1 }, scale.seconds);
        samples.add(singleName, peer.name, single);
        if (peer === nchan) samples.add(batchName, other.name, single);
      }
      const batches = await measure(tidings, inboxes, { inFlight: inboxes / 100, batch: 100 }, scale.seconds);
      samples.add(batchName, tidings.name, batches);
    }
    const has = peers.includes(nchan);
    return [
      ...samples.rows(singleName, 'events/s', compared, {
        targets: { [nchan.name]: { of: 'ratio', atLeast: 2 } },
        ceiling: await ceiling.posts(256),
      }),
      ...samples.rows(batchName, 'events/s', has ? [tidings, other] : [tidings], {
        targets: { [other.name]: { of: 'ratio', atLeast: 2 } },
        ceiling: await ceiling.events(1, true),
      }),
    ];
  },
};

/**
 * @param {import('../peers/peer.js').Peer} peer
 * @param {number} inboxes
 * @param {{ inFlight: number, batch: number }} load
 * @param {number} seconds
 * @returns {Promise<import('../case.js').Figure>} events a second
 */
async function measure(peer, inboxes, load, seconds) {
  const server = await peer.start();
  const client = new LoadClient(peer, server);
  const step = inboxes / load.batch;
  const run = await orRefused(async () => {
    await client.open(inboxes, [OWN_INBOX]);
    return calibrated(seconds, { first: step, step }, (requests) => client.deliver({ ...load, requests }));
  });
  await client.stop();
  await server.stop();
  return typeof run === 'string' ? run : run.deliveries / run.seconds;
}
