import { NatsServers } from './nats.js';

/** @typedef {import('../case.js').Case} Case */

/** The services that the cases of a cluster compare. */
export const THREE = { name: 'three nodes' };
export const ALONE = { name: 'one node without NATS' };

/** @type {WeakSet<import('../case.js').Context>} */
const told = new WeakSet();

/**
 * Returns a case of the group `cluster`, which runs only if it is named, and is left out without nats-server.
 *
 * @param {Omit<Case, 'onlyNamed' | 'group'>} measured
 * @returns {Case}
 */
export function withNats({ run, ...named }) {
  return {
    ...named,
    onlyNamed: true,
    group: 'cluster',
    run: async (context) => {
      const missing = NatsServers.missing();
      if (missing === undefined) return run(context);
      if (!told.has(context)) context.note(`Several nodes are left out: ${missing}.`);
      told.add(context);
      return [];
    },
  };
}
