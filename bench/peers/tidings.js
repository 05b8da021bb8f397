import { once } from 'node:events';
import { join } from 'node:path';
import { makeFolder, start } from '../processes.js';
import { Server } from '../server.js';
import { get, post } from './peer.js';

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname;

/** This service, as it is built. @type {import('./peer.js').Peer} */
export const tidings = {
  name: 'Tidings',
  missing: () => undefined,
  start: () => {
    const folder = makeFolder();
    return startOn(join(folder, 'log.sqlite'), folder);
  },
  publish: (port, recipient, contents, sender = 'alice') => {
    const messages = contents.map((content) => ({ recipient, sender, content }));
    return post(
      port,
      '/messages',
      JSON.stringify(messages.length === 1 ? messages[0] : messages),
      'application/json',
    );
  },
  stream: (port, recipients) => get(port, `/stream?recipient=${recipients.join('&recipient=')}`),
  live: 'event: live',
  chunked: false,
  inOrder: true,
};

/**
 * Starts the service on a log that may be there already.
 *
 * @param {string} database
 * @param {string} [folder] what to remove at its end
 * @returns {Promise<Server>} when it listens
 */
export async function startOn(database, folder) {
  const child = spawnOn(database, 0);
  const line = String(await once(child.stdout, 'data'));
  return new Server(child, Number(/:(\d+) /.exec(line)?.[1]), folder);
}

/**
 * Starts the service, and does not wait.
 *
 * @param {string} database
 * @param {number} port
 */
export function spawnOn(database, port) {
  return start(process.execPath, [
    MAIN,
    ...['--port', String(port), '--database', database, '--log-level', 'error'],
    // None in a run, whose bytes are counted.
    ...['--heartbeat-seconds', '3600'],
  ]);
}
