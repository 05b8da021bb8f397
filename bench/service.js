import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The built service, as a process with a new database, and the devices of one inbox beside it. */
export class Service {
  /** @type {string} */
  #folder;
  /** @type {import('node:child_process').ChildProcess} */
  #child;
  /** @type {import('node:child_process').ChildProcess[]} */
  #devices = [];
  port = 0;

  /**
   * @param {string} folder
   * @param {import('node:child_process').ChildProcess} child
   */
  constructor(folder, child) {
    this.#folder = folder;
    this.#child = child;
  }

  static async start() {
    const folder = mkdtempSync(join(tmpdir(), 'tidings-bench-'));
    const main = new URL('../dist/main.js', import.meta.url).pathname;
    const child = spawn(process.execPath, [main, '--port', '0', '--database', join(folder, 'log.sqlite')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const service = new Service(folder, child);
    const line = String(await once(child.stdout, 'data'));
    service.port = Number(/:(\d+) /.exec(line)?.[1]);
    return service;
  }

  /**
   * Opens streams of one inbox, in a process of their own.
   *
   * @param {number} count
   * @param {string} recipient
   * @returns waits until all of them have had everything up to an id
   */
  async openDevices(count, recipient) {
    const child = fork(new URL('./devices.js', import.meta.url), [
      String(this.port),
      String(count),
      recipient,
    ]);
    this.#devices.push(child);
    await once(child, 'message');
    return async (/** @type {number} */ id) => {
      child.send(id);
      await once(child, 'message');
    };
  }

  /** Ends the devices. */
  async closeDevices() {
    await Promise.all(
      this.#devices.splice(0).map((child) => {
        child.disconnect();
        return once(child, 'exit');
      }),
    );
  }

  /** The id of the newest message. */
  async head() {
    const response = await fetch(`http://127.0.0.1:${this.port}/messages?recipient=nobody&before=latest`);
    const { cursor } = /** @type {{ cursor: string }} */ (await response.json());
    return Number.parseInt(cursor, 10);
  }

  /** Resident memory of the service in bytes, as Linux has it. */
  memory() {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
  }

  async stop() {
    await this.closeDevices();
    this.#child.kill();
    await once(this.#child, 'exit');
    rmSync(this.#folder, { recursive: true });
  }
}
