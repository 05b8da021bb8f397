import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { connect } from '@nats-io/transport-node';
import { jetstream } from '@nats-io/jetstream';
import { CONTENT } from '../client/template.js';
import { mainFile } from '../peers/tidings.js';

/** @typedef {typeof import('../../src/log/order/entry-codec.ts')} Codec */
/** @typedef {typeof import('../../src/log/entry.ts')} Entries */
/** @typedef {typeof import('../../src/cluster/names.ts')} Names */

/** The default of NATS_STREAM. */
const PREFIX = 'tidings';

/** The number of entries in flight. One connection keeps their order. */
const IN_FLIGHT = 200;

/**
 * Appends entries of one message each, as fast as NATS takes them. Nodes cannot do this: each has only one entry on its
 * way at a time.
 *
 * @param {import('./cluster.js').Cluster} cluster
 * @param {number} count
 * @param {string} proposer a different one each time
 */
export async function fill(cluster, count, proposer) {
  const { encodeEntry } = /** @type {Codec} */ (await built('log/order/entry-codec.js'));
  const { entryOf } = /** @type {Entries} */ (await built('log/entry.js'));
  const { entriesSubject } = /** @type {Names} */ (await built('cluster/names.js'));
  const { log } = await cluster.view(0);
  const draft = {
    ...{ sender: 'alice', recipient: 'others', type: 'message', content: JSON.stringify(CONTENT) },
    ...{ idempotencyKey: null, ttl: null, background: null },
  };
  const entry = entryOf({ kind: 'append', batches: [[draft]] });
  const connection = await connect({ servers: cluster.servers.url.split(',') });
  const client = jetstream(connection);
  const subject = entriesSubject(PREFIX, log.generation);
  for (let from = 1; from <= count; from += IN_FLIGHT) {
    const some = Math.min(IN_FLIGHT, count + 1 - from);
    await Promise.all(
      Array.from({ length: some }, (_, index) => {
        const counter = from + index;
        const bytes = encodeEntry(log, { proposer, counter }, entry);
        return client.publish(subject, bytes, { msgID: `${proposer}-${counter}` });
      }),
    );
  }
  await connection.close();
}

/**
 * @param {string} file of the build
 * @returns {Promise<unknown>}
 */
function built(file) {
  return import(pathToFileURL(join(dirname(mainFile()), file)).href);
}
