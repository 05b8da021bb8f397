import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { start } from '../processes.js';
import { mainFile, startOn } from '../peers/tidings.js';

/** Servers that have just come up may refuse for a moment; the command can be repeated. */
const TRIES = 5;
const PAUSE_MILLISECONDS = 1000;

/**
 * Makes the log of a cluster.
 *
 * @param {Readonly<Record<string, string>>} env
 * @param {number} [replicas]
 * @throws {Error} if it cannot be made
 */
export async function initCluster(env, replicas = 3) {
  for (let tries = 1; ; tries++) {
    const code = await clusterCommand(['init', '--replicas', String(replicas)], env);
    if (code === 0) return;
    if (tries === TRIES) throw new Error(`cluster init ended with code ${code}`);
    await sleep(PAUSE_MILLISECONDS);
  }
}

/**
 * Runs a command on a cluster, and waits until it has ended.
 *
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, string>>} env
 * @returns {Promise<number | null>} its exit code
 */
async function clusterCommand(args, env) {
  const child = start(process.execPath, [mainFile(), 'cluster', ...args], { env });
  child.stdout.resume();
  await once(child, 'exit');
  return child.exitCode;
}

/**
 * Starts a node of a cluster.
 *
 * @param {string} database
 * @param {Readonly<Record<string, string>>} env
 * @param {{ port?: number, args?: readonly string[] }} [options] a free port if none is given; further arguments
 */
export function startNode(database, env, options = {}) {
  return startOn(database, { env, ...options });
}
