import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { family, removeFolder, stop } from './processes.js';

/** `/proc` counts times in hundredths of a second (USER_HZ, proc(5)). */
const TICKS = 100;

/** A measured server, with all its processes as Linux counts them. */
export class Server {
  /** @type {import('node:child_process').ChildProcess} */
  #child;
  /** @type {string | undefined} */
  #folder;
  port;

  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {number} port where it listens on the loopback address
   * @param {string} [folder] the folder of its files, removed at its end
   */
  constructor(child, port, folder) {
    this.#child = child;
    this.port = port;
    this.#folder = folder;
  }

  /** Returns the CPU seconds of its processes, in user and kernel mode. */
  cpuSeconds() {
    return this.#sum((pid) => {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The name, in parentheses, may contain spaces. utime to cstime are the fields 14 to 17.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS;
    });
  }

  /** Returns the bytes of its memory that are resident. */
  residentBytes() {
    return this.#sum((pid) => statusBytes(pid, 'VmRSS'));
  }

  /** Returns the most bytes that were resident since the last `forgetPeak`. */
  peakBytes() {
    return this.#sum((pid) => statusBytes(pid, 'VmHWM'));
  }

  forgetPeak() {
    for (const pid of family(this.#child.pid)) writeFileSync(`/proc/${pid}/clear_refs`, '5');
  }

  /** Whether it has ended by itself. */
  get ended() {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Its error output, if that is a pipe. */
  get errors() {
    return this.#child.stderr;
  }

  get pid() {
    return this.#child.pid;
  }

  /** @param {NodeJS.Signals} [signal] */
  async stop(signal) {
    await stop(this.#child, signal);
    if (this.#folder !== undefined) removeFolder(this.#folder);
  }

  /** @param {(pid: number) => number} figure */
  #sum(figure) {
    return family(this.#child.pid).reduce((sum, pid) => sum + figure(pid), 0);
  }
}

/**
 * @param {number} pid
 * @param {string} field
 */
function statusBytes(pid, field) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
}

/** Returns a port that nobody listens on. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Waits until a server takes connections.
 *
 * @param {import('node:child_process').ChildProcess} child
 * @param {number} port
 * @throws {Error} if it ends instead
 */
export async function listening(child, port) {
  while (!(await takesConnections(port))) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended at its start (${child.exitCode})`);
    await sleep(5);
  }
}

/** @param {number} port */
function takesConnections(port) {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
