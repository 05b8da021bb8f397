import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { makeFolder, start } from '../processes.js';
import { Server } from '../server.js';
import { get, post } from './peer.js';

let main = new URL('../../dist/main.js', import.meta.url).pathname;

/** @param {string} folder the folder with the `main.js` of another build, which is started from now on */
export function useBuild(folder) {
  main = join(resolve(folder), 'main.js');
}

/** Returns the program that is started. */
export function mainFile() {
  return main;
}

/** This service, as it is built. @type {import('./peer.js').Peer} */
export const tidings = {
  name: 'Tidings',
  durability: 'on the disk: a group of messages is a transaction of SQLite, flushed before its answers',
  syncs: true,
  missing: () => undefined,
  start: () => {
    const folder = makeFolder();
    return startOn(join(folder, 'log.sqlite'), { folder });
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
 * Deviations from a usual start.
 *
 * @typedef {object} StartOptions
 * @property {readonly string[]} [args] further arguments, which take precedence over the usual ones
 * @property {Readonly<Record<string, string>>} [env]
 * @property {string | undefined} [build] the folder of another build
 * @property {'inherit' | 'ignore' | 'pipe'} [errors] where the log goes; with `pipe`, into a pipe that nobody reads
 */

/**
 * Starts the service on a log that may already exist.
 *
 * @param {string} database
 * @param {StartOptions & { folder?: string, port?: number }} [options] `folder`: the folder to remove at its end;
 *   `port`: a free one if left out
 * @returns {Promise<Server>} when it listens
 * @throws {Error} if it ends instead
 */
export async function startOn(database, { folder, port = 0, ...options } = {}) {
  const child = spawnOn(database, port, options);
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the service ended at its start (${code})`);
  });
  const line = String(await Promise.race([once(child.stdout, 'data'), ended]));
  ended.catch(() => undefined);
  return new Server(child, Number(/:(\d+) /.exec(line)?.[1]), folder);
}

/**
 * Starts the service, and returns without waiting.
 *
 * @param {string} database
 * @param {number} port
 * @param {StartOptions} [options]
 */
export function spawnOn(database, port, { args = [], build, ...options } = {}) {
  const usual = ['--port', String(port), '--database', database, '--log-level', 'error'];
  // No heartbeat may come in a run, because its bytes are counted.
  const program = build === undefined ? main : join(resolve(build), 'main.js');
  return start(process.execPath, [program, ...usual, '--heartbeat-seconds', '3600', ...args], options);
}
