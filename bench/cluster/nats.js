import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, listening } from '../server.js';
import { start, stop } from '../processes.js';

/** The answer of `/jsz`. @typedef {{ account_details?: { stream_detail?: StreamDetail[] }[] }} Jsz */
/** @typedef {{ name: string, cluster?: { leader?: string } }} StreamDetail */

/** How long the servers may take to elect a leader. */
const ELECTION_MILLISECONDS = 20_000;

/** Servers of NATS on this machine, which replicate to each other and flush before they acknowledge. */
export class NatsServers {
  /** @type {import('node:child_process').ChildProcess[]} */
  #children = [];
  /** @type {string[]} */
  #files = [];
  /** @type {readonly number[]} */
  #ports;
  /** @type {readonly number[]} */
  #monitors;

  /**
   * @param {readonly number[]} ports
   * @param {readonly number[]} monitors
   */
  constructor(ports, monitors) {
    this.#ports = ports;
    this.#monitors = monitors;
  }

  /**
   * Starts servers whose files are in a folder, and waits until they have a leader.
   *
   * @param {string} folder
   * @param {number} [count]
   * @param {string} [sync] when they flush, as `sync_interval` takes it
   * @throws {Error} if nats-server is not installed, or they elect none
   */
  static async start(folder, count = 3, sync = 'always') {
    const indexes = Array.from({ length: count }, (_, index) => index);
    const [ports, monitors, routes] = [
      await freePorts(count),
      await freePorts(count),
      await freePorts(count),
    ];
    const servers = new NatsServers(ports, monitors);
    for (const index of indexes) {
      const store = join(folder, `nats-${index + 1}`);
      mkdirSync(store, { recursive: true });
      const file = join(store, 'nats.conf');
      writeFileSync(
        file,
        [
          `server_name: nats-${index + 1}`,
          `listen: "127.0.0.1:${ports[index]}"`,
          `http: "127.0.0.1:${monitors[index]}"`,
          'max_payload: 8MB',
          `jetstream { store_dir: "${store}", sync_interval: ${sync} }`,
          count === 1 ? '' : clusterOf(routes, index),
          '',
        ].join('\n'),
      );
      servers.#files.push(file);
      servers.#launch(index);
    }
    await servers.#ready();
    return servers;
  }

  /** Why it cannot be started; `undefined` if it can. */
  static missing() {
    const { error } = spawnSync('nats-server', ['--version']);
    return error === undefined ? undefined : 'put nats-server into PATH (apt install nats-server)';
  }

  /** Their addresses, as `NATS_URL` takes them. */
  get url() {
    return this.#ports.map((port) => `nats://127.0.0.1:${port}`).join(',');
  }

  /** Their monitoring ports, as `NATS_MONITOR_URL` takes them. */
  get monitorUrl() {
    return this.#monitors.map((port) => `http://127.0.0.1:${port}`).join(',');
  }

  /** The ids of their processes. */
  get pids() {
    return this.#children.map(({ pid }) => pid);
  }

  /** How many there are. */
  get count() {
    return this.#ports.length;
  }

  /**
   * Starts a server again that was ended, and waits until all are in step.
   *
   * @param {number} index
   */
  async startAgain(index) {
    this.#launch(index);
    await this.#ready();
  }

  /**
   * Returns to which server a client is connected.
   *
   * @param {string} name of the client
   * @returns {Promise<number>} -1 if to none
   */
  async serverOf(name) {
    for (const [index, port] of this.#monitors.entries()) {
      const answer = await fetch(`http://127.0.0.1:${port}/connz?limit=1024`).catch(() => undefined);
      /** @type {unknown} */
      const found = await answer?.json();
      const { connections = [] } = /** @type {{ connections?: { name?: string }[] }} */ (found ?? {});
      if (connections.some((connection) => connection.name === name)) return index;
    }
    return -1;
  }

  /** @param {number} index @param {NodeJS.Signals} [signal] */
  async end(index, signal = 'SIGKILL') {
    const child = this.#children[index];
    if (child !== undefined) await stop(child, signal);
  }

  /**
   * Returns which server leads a stream.
   *
   * @param {string} stream
   * @returns {Promise<number>} -1 if it cannot be told
   */
  async leaderOf(stream) {
    for (const port of this.#monitors) {
      const answer = await fetch(`http://127.0.0.1:${port}/jsz?streams=1`).catch(() => undefined);
      const text = (await answer?.text()) ?? '';
      /** @type {unknown} */
      const found = text === '' ? {} : JSON.parse(text);
      for (const { stream_detail: streams = [] } of /** @type {Jsz} */ (found).account_details ?? []) {
        const leader = streams.find(({ name }) => name === stream)?.cluster?.leader;
        if (leader !== undefined) return Number(/\d+$/.exec(leader)?.[0]) - 1;
      }
    }
    return -1;
  }

  async stop() {
    await Promise.all(this.#children.map((child) => stop(child)));
  }

  /** @param {number} index */
  #launch(index) {
    const file = this.#files[index] ?? '';
    this.#children[index] = start('nats-server', ['-c', file], { errors: 'ignore' });
  }

  /** Waits until all take connections, and have a leader. */
  async #ready() {
    for (const [index, child] of this.#children.entries()) await listening(child, this.#ports[index] ?? 0);
    await this.#elected();
  }

  async #elected() {
    const end = performance.now() + ELECTION_MILLISECONDS;
    while (performance.now() < end) {
      const answers = await Promise.all(
        this.#monitors.map((port) =>
          fetch(`http://127.0.0.1:${port}/healthz`).then(
            ({ ok }) => ok,
            () => false,
          ),
        ),
      );
      if (answers.every(Boolean)) return;
      await sleep(50);
    }
    throw new Error('the NATS servers have elected no leader');
  }
}

/** @param {readonly number[]} routes @param {number} index */
function clusterOf(routes, index) {
  const all = routes.map((port) => `"nats://127.0.0.1:${port}"`).join(', ');
  return `cluster { name: bench, listen: "127.0.0.1:${routes[index]}", routes: [${all}] }`;
}

/** @param {number} count */
async function freePorts(count) {
  /** @type {Set<number>} */
  const ports = new Set();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}
