/** A server with a network of its own, loopback alone, in which packets can be lost (Linux, as root). */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from '@jest/globals';
import { createParser } from 'eventsource-parser';
import { Server, type ServerOptions, undoAtEnd } from './server.ts';
import type { StreamEvent } from './device.ts';
import { until } from './until.ts';

/** TCP gives up on a peer after so many repeats, in six seconds instead of a quarter of an hour. */
const SET_UP = 'ip link set lo up && echo 4 > /proc/sys/net/ipv4/tcp_retries2 && exec "$0" "$@"';

/** A `test` that makes a network: skipped with one line where that cannot be done, but not in CI. */
export const networkTest = ((): typeof test | typeof test.skip => {
  const { status } = spawnSync('unshare', ['--net', 'sh', '-c', SET_UP, 'iptables', '--list']);
  if (status === 0 || process.env['CI'] === 'true') return test;
  process.stderr.write(
    'Tests that lose packets are skipped (as root, with apt-get install iproute2 iptables).\n',
  );
  return test.skip;
})();

export class PrivateNetwork {
  readonly server: Server;

  private constructor(server: Server) {
    this.server = server;
  }

  static async start(options: ServerOptions = {}): Promise<PrivateNetwork> {
    return new PrivateNetwork(
      await Server.start({ ...options, wrapper: ['unshare', '--net', 'sh', '-c', SET_UP] }),
    );
  }

  /** The command that runs another within the network. */
  #within(command: readonly string[]): [string, string[]] {
    return ['nsenter', [`--net=/proc/${this.server.pid}/ns/net`, ...command]];
  }

  /** Gets a path, or posts a form to it, and gives back the parsed answer. */
  request(path: string, ...form: readonly string[]): unknown {
    const data = form.flatMap((field) => ['--data', field]);
    const curl = ['curl', '--silent', '--fail', '--max-time', '10', ...data, `${this.server.url}${path}`];
    return JSON.parse(execFileSync(...this.#within(curl), { encoding: 'utf8' })) as unknown;
  }

  /** How many devices of each address the service knows of. */
  devices(...addresses: readonly string[]): number[] {
    const query = addresses.map((address) => `recipient=${address}`).join('&');
    const states = this.request(`/presence?${query}`) as Record<string, { devices: number }>;
    return addresses.map((address) => states[address]?.devices ?? NaN);
  }

  /** Opens a stream, from a port of the device's own. */
  open(query: string, port: number): NetworkDevice {
    const url = `${this.server.url}/stream?${query}`;
    const curl = ['curl', '--silent', '--no-buffer', '--local-port', String(port), url];
    return new NetworkDevice(spawn(...this.#within(curl), { stdio: ['ignore', 'pipe', 'inherit'] }));
  }

  /** From now on nothing that is sent from a port or to it arrives, and nobody is told. */
  losePacketsOf(port: number): void {
    for (const direction of ['--sport', '--dport']) {
      const rule = ['-A', 'INPUT', '-p', 'tcp', direction, String(port), '-j', 'DROP'];
      execFileSync(...this.#within(['iptables', ...rule]));
    }
  }

  /** Whether the server's system still has a connection to a port. */
  hasConnection(port: number): boolean {
    const hex = port.toString(16).padStart(4, '0').toUpperCase();
    const { stdout } = spawnSync(...this.#within(['cat', '/proc/net/tcp']), { encoding: 'utf8' });
    return new RegExp(`^ *\\d+: \\w+:\\w+ \\w+:${hex} `, 'm').test(stdout);
  }
}

/** A stream in such a network: a curl process. */
export class NetworkDevice {
  readonly events: StreamEvent[] = [];
  ended = false;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    const parser = createParser({
      onEvent: ({ event, id, data }) =>
        this.events.push({ event: event ?? 'message', id, data: JSON.parse(data) as unknown }),
    });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => parser.feed(text));
    child.once('close', () => (this.ended = true));
    undoAtEnd(() => child.kill('SIGKILL'));
  }

  of(event: string): StreamEvent[] {
    return this.events.filter((one) => one.event === event);
  }

  async waitFor(event: string, count = 1): Promise<void> {
    await until(() => this.of(event).length >= count, `${count} of the event ${event}`);
  }

  /** Ends it without a word of its own. */
  async kill(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }
}
