import { calibrated } from '../calibrated.js';
import { LoadClient } from '../client/load-client.js';
import { orRefused, Remote } from '../client/remote.js';
import { plain } from '../peers/plain.js';
import { tidings } from '../peers/tidings.js';
import { Samples } from '../samples.js';

const BARE = { name: 'bare SQLite' };

/** @type {{ name: string, inFlight: number, batch?: number, targets?: Record<string, import('../case.js').Target> }[]} */
const LOADS = [
  { name: 'acknowledged, 1 in flight', inFlight: 1 },
  {
    name: 'acknowledged, 32 in flight',
    inFlight: 32,
    targets: { [plain.name]: { of: 'ratio', atLeast: 4 } },
  },
  { name: 'acknowledged, 256 in flight', inFlight: 256 },
  {
    name: 'acknowledged, batches of 100, 32 in flight',
    inFlight: 32,
    batch: 100,
    targets: { [BARE.name]: { of: 'ratio', atLeast: 0.6 } },
  },
];

/** The rate of publishes that are answered. @type {import('../case.js').Case} */
export const acknowledged = {
  name: 'acknowledged',
  about: 'publishes that are answered, one by one and in batches; on disk with those servers that sync',
  run: async ({ scale, peers, progress, ceiling }) => {
    const samples = new Samples(progress);
    const bare = new Remote(new URL('../peers/bare-sqlite-process.js', import.meta.url));
    for (let run = 0; run < scale.runs; run++) {
      for (const { name, inFlight, batch } of LOADS) {
        let group = 1;
        for (const peer of batch === undefined ? peers : [tidings]) {
          const { rate, commit } = await measure(peer, { inFlight, batch }, scale.seconds);
          if (peer === tidings) group = commit;
          samples.add(name, peer.name, rate);
        }
        progress(`${name}: ${group} messages in a commit`);
        const rate = Number(await bare.call('insert', { group, seconds: scale.seconds }));
        samples.add(name, BARE.name, rate);
      }
    }
    await bare.stop();
    const rows = [];
    for (const { name, inFlight, batch, targets = {} } of LOADS) {
      const compared = [...(batch === undefined ? peers : [tidings]), BARE];
      const most = await ceiling.posts(inFlight, batch);
      rows.push(...samples.rows(name, 'messages/s', compared, { targets, ceiling: most }));
    }
    return rows;
  },
};

/**
 * @param {import('../peers/peer.js').Peer} peer
 * @param {{ inFlight: number, batch: number | undefined }} load
 * @param {number} seconds
 * @returns {Promise<{ rate: number | string, commit: number }>} `commit`: messages in one, of this service
 */
async function measure(peer, load, seconds) {
  const server = await peer.start();
  const client = new LoadClient(peer, server);
  const run = await orRefused(() =>
    calibrated(seconds, { least: load.inFlight }, (requests) => client.publish({ ...load, requests })),
  );
  const commit = peer === tidings ? await commitSize(server.port) : 1;
  await client.stop();
  await server.stop();
  return { rate: typeof run === 'string' ? run : run.messages / run.seconds, commit };
}

/**
 * @param {number} port
 * @returns {Promise<number>} the number of messages in a commit, as the service counts them
 */
async function commitSize(port) {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  const text = await response.text();
  const value = (/** @type {string} */ name) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1]);
  const size = value('tidings_commit_size_messages_sum') / value('tidings_commits_total');
  return Math.max(1, Math.round(size));
}
