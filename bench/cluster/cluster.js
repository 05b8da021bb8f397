import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder, removeFolder } from '../processes.js';
import { NatsServers } from './nats.js';
import { initCluster, startNode } from './nodes.js';

/** @typedef {import('../server.js').Server} Server */

/**
 * The parts of the answer of `GET /cluster` that are used.
 *
 * @typedef {object} View
 * @property {string} node the id of the node that answers
 * @property {readonly { id: string, position: number }[]} nodes
 * @property {{ logId: string, generation: number, last: number | null }} log
 * @property {{ name: string } | null} lease of the node that has it
 */

/** The name of the stream of a log in its first generation. */
export const STREAM = 'tidings-1';

/** How long a node may take until it has caught up and is ready. */
const READY_MILLISECONDS = 600_000;

/** A cluster on this machine: three servers of NATS, and nodes. */
export class Cluster {
  #folder;
  /** The nodes that run, by index. @type {Map<number, Server>} */
  #nodes = new Map();
  servers;

  /**
   * @param {NatsServers} servers
   * @param {string} folder
   */
  constructor(servers, folder) {
    this.servers = servers;
    this.#folder = folder;
  }

  /**
   * Starts the servers, makes the log, and starts nodes.
   *
   * @param {number} nodes
   * @param {{ sync?: string, database?: string }} [options] `sync`: when the servers flush; `database`: the file of a
   *   service that has ended, with which the log begins
   */
  static async start(nodes, { sync, database } = {}) {
    const folder = makeFolder();
    const cluster = new Cluster(await NatsServers.start(folder, 3, sync), folder);
    await initCluster(cluster.env(0, database === undefined ? {} : { DATABASE: database }));
    for (let index = 0; index < nodes; index++) await cluster.startNode(index);
    return cluster;
  }

  /** The nodes that run. */
  get nodes() {
    return [...this.#nodes.values()];
  }

  /** Their ports. */
  get ports() {
    return this.nodes.map(({ port }) => port);
  }

  /** The port of one of them. */
  get port() {
    return this.ports[0] ?? 0;
  }

  /** Returns the CPU seconds of the nodes, without NATS. */
  cpuSeconds() {
    return this.nodes.reduce((sum, node) => sum + node.cpuSeconds(), 0);
  }

  /** @param {number} index */
  node(index) {
    const node = this.#nodes.get(index);
    if (node === undefined) throw new Error(`node ${index + 1} does not run`);
    return node;
  }

  /**
   * Starts a node, and waits until it is ready.
   *
   * @param {number} index
   * @param {{ port?: number, database?: string }} [options]
   */
  async startNode(index, { port, database = this.databaseOf(index) } = {}) {
    const node = await startNode(database, this.env(index), { ...(port === undefined ? {} : { port }) });
    this.#nodes.set(index, node);
    await ready(node.port);
    return node;
  }

  /**
   * @param {number} index
   * @param {NodeJS.Signals} [signal]
   */
  async stopNode(index, signal) {
    await this.#nodes.get(index)?.stop(signal);
    this.#nodes.delete(index);
  }

  /** @param {number} index */
  databaseOf(index) {
    return join(this.#folder, `${nameOf(index)}.sqlite`);
  }

  /**
   * @param {number} index
   * @returns {Promise<number>} the index of the server to which a node is connected; -1 if to none
   */
  serverOf(index) {
    return this.servers.serverOf(`tidings ${nameOf(index)}`);
  }

  /**
   * Returns what a node shows of the cluster.
   *
   * @param {number} index
   * @returns {Promise<View>}
   */
  async view(index) {
    const response = await fetch(`http://127.0.0.1:${this.node(index).port}/cluster`);
    return /** @type {Promise<View>} */ (response.json());
  }

  /**
   * Waits until a node has applied everything in the stream.
   *
   * @param {number} index
   */
  async caughtUp(index) {
    for (;;) {
      const { node, nodes, log } = await this.view(index);
      const position = nodes.find(({ id }) => id === node)?.position ?? 0;
      if (log.last !== null && position >= log.last) return;
      await sleep(20);
    }
  }

  /** @param {number} index @param {Readonly<Record<string, string>>} [more] */
  env(index, more = {}) {
    const { url, monitorUrl } = this.servers;
    return { NATS_URL: url, NATS_MONITOR_URL: monitorUrl, NODE_NAME: nameOf(index), ...more };
  }

  async stop() {
    await Promise.all(this.nodes.map((node) => node.stop()));
    await this.servers.stop();
    removeFolder(this.#folder);
  }
}

/** @param {number} index of a node */
export function nameOf(index) {
  return `node-${index + 1}`;
}

/** @param {number} port of a node */
export async function ready(port) {
  const end = performance.now() + READY_MILLISECONDS;
  while (performance.now() < end) {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (response?.ok === true) return;
    await sleep(10);
  }
  throw new Error('a node is not ready');
}
