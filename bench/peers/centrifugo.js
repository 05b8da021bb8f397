import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, start } from '../processes.js';
import { freePort, listening, Server } from '../server.js';
import { get, KEPT, post } from './peer.js';
import { FOLDER, Program } from './program.js';

const MODULE = 'github.com/centrifugal/centrifugo/v6';
const VERSION = 'v6.9.1';
const program = new Program('centrifugo');

/**
 * Centrifugo with its memory engine: published over its HTTP API, read by unidirectional Server-Sent Events. It reads the
 * channels from the request, and a device that comes back asks for the history after an offset.
 *
 * @type {import('./peer.js').Peer}
 */
export const centrifugo = {
  name: 'Centrifugo (memory)',
  durability: 'the history of a channel is in memory; nothing is written to the disk',
  syncs: false,
  missing: () => (program.isInstalled ? undefined : `GOBIN=${FOLDER} go install ${MODULE}@${VERSION}`),
  version: () => program.moduleVersion(MODULE),
  start: async (kept = KEPT) => {
    const folder = makeFolder();
    const port = await freePort();
    const file = join(folder, 'config.json');
    writeFileSync(file, JSON.stringify(configuration(port, kept)));
    const child = start('centrifugo', ['--config', file]);
    await listening(child, port);
    return new Server(child, port, folder);
  },
  publish: (port, recipient, [content = '']) => {
    return post(
      port,
      '/api/publish',
      JSON.stringify({ channel: recipient, data: content }),
      'application/json',
    );
  },
  stream: (port, recipients) => get(port, connection(recipients, {})),
  all: (port, recipient) => get(port, connection([recipient], { recover: true, offset: 0 })),
  live: '"connect":',
  chunked: true,
  inOrder: true,
};

/**
 * @param {readonly string[]} channels
 * @param {object} subscription
 * @returns {string} the path of a stream
 */
function connection(channels, subscription) {
  const subs = Object.fromEntries(channels.map((channel) => [channel, subscription]));
  return `/connection/uni_sse?cf_connect=${encodeURIComponent(JSON.stringify({ subs }))}`;
}

/**
 * Returns a configuration without tokens, limits of the size of an answer, and pings, whose bytes would be counted. An
 * error of the API is the status of its answer. Nothing is sent to its developers.
 *
 * @param {number} port
 * @param {number} kept messages that a channel keeps
 */
function configuration(port, kept) {
  return {
    http_server: { address: '127.0.0.1', port },
    http_api: { insecure: true, error_mode: 'transport' },
    uni_sse: { enabled: true },
    client: {
      insecure: true,
      ping_interval: '24h',
      pong_timeout: '1h',
      queue_max_size: 1024 ** 3,
      recovery_max_publication_limit: kept,
    },
    channel: { without_namespace: { history_size: kept, history_ttl: '1h', force_recovery: true } },
    usage_stats: { disabled: true },
    log: { level: 'error' },
    shutdown: { timeout: '1s' },
  };
}
