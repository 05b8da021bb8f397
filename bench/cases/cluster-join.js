import { statSync } from 'node:fs';
import { Cluster } from '../cluster/cluster.js';
import { withNats } from '../cluster/group.js';
import { Samples } from '../samples.js';
import { StoredLog } from '../stored-log.js';

/** The bytes that a message takes in the database. */
const MESSAGE_BYTES = 215;

/** The number of inboxes over which batches of messages are spread. */
const STEP = 10_000;

/** @type {import('../case.js').Case} */
export const clusterJoin = withNats({
  name: 'cluster-join',
  about: 'a database becomes the first snapshot of a cluster, and a node without one joins by it',
  run: async ({ scale, progress, snapshotMegabytes = scale.quick ? 20 : 1000 }) => {
    const samples = new Samples(progress);
    const messages = Math.ceil((snapshotMegabytes * 1e6) / MESSAGE_BYTES / STEP) * STEP;
    progress(`a log of ${messages.toLocaleString('en')} messages is made`);
    const stored = await StoredLog.spread(messages);
    const size = `${Math.round(statSync(stored.database).size / 1e6)} MB`;
    const began = performance.now();
    const cluster = await Cluster.start(0, { database: stored.database });
    const init = `cluster init with a database of ${size}, which becomes a snapshot`;
    samples.add(init, size, (performance.now() - began) / 1000);
    const join = `a node without a database joins by a snapshot of ${size}, until it is ready`;
    const runs = Math.min(scale.runs, 2);
    for (let run = 0; run < runs; run++) {
      const from = performance.now();
      await cluster.startNode(run);
      samples.add(join, size, (performance.now() - from) / 1000);
      await cluster.stopNode(run);
    }
    await cluster.stop();
    stored.remove();
    return [...samples.rows(init, 's', [{ name: size }]), ...samples.rows(join, 's', [{ name: size }])];
  },
});
