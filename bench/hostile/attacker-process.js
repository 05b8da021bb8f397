// The attackers, as one process.
import { setMaxListeners } from 'node:events';
import { serve } from '../client/remote.js';
import { Tally } from './attack.js';
import { ATTACKS } from './attacks.js';

serve({ crowd, attack });

/** @typedef {{ name: string, port: number, tokens: readonly string[], quick: boolean }} Options */

/**
 * Opens the connections that an attack needs; they stay open as long as the process runs.
 *
 * @param {Options} options
 */
async function crowd(options) {
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  await attackNamed(options.name).crowd?.({
    ...options,
    index: 0,
    connections: 1,
    signal,
    tally: new Tally(),
  });
}

/**
 * Attacks for a time, and then closes all connections of the attack.
 *
 * @param {Options & { connections: number, seconds: number }} options
 * @returns {Promise<{ sent: number, answers: Record<number, number> }>} the number of requests, and the answers by
 *   status
 */
async function attack({ name, connections, seconds, ...options }) {
  const tally = new Tally();
  const end = new AbortController();
  setMaxListeners(0, end.signal);
  setTimeout(() => end.abort(), seconds * 1000);
  const attackers = Array.from({ length: Math.max(1, connections) }, (_, index) => {
    // Each connection begins with a different account, if there are several.
    const first = index % Math.max(1, options.tokens.length);
    const tokens = [...options.tokens.slice(first), ...options.tokens.slice(0, first)];
    return attackNamed(name).attack({ ...options, tokens, index, connections, signal: end.signal, tally });
  });
  await Promise.all(attackers);
  const { sent, answers } = tally;
  return { sent, answers };
}

/** @param {string} name */
function attackNamed(name) {
  const found = ATTACKS.find((each) => each.name === name);
  if (found === undefined) throw new Error(`there is no attack "${name}"`);
  return found;
}
