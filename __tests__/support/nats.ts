/** Real NATS servers with JetStream: one, or three that are a cluster, each with ports and a store of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { freePorts } from './free-ports.ts';
import { newFolder, undoAtEnd } from './server.ts';
import { testWithTool } from './tool.ts';
import { until } from './until.ts';

/** A test that needs a NATS server. */
export const natsTest = testWithTool('nats-server', 'nats-server', '.ci/nats-server has how');

/** A group of tests that need a NATS server: `beforeAll` and `afterAll` are not called if they are skipped. */
export const describeNats = natsTest === test.skip ? describe.skip : describe;

/** Options for a client of JetStream. By default it gives up after 5 s, in which a busy machine may do nothing. */
export const PATIENT = { timeout: 120_000 } as const;

/** Lines of a configuration, in the form of JSON: `nats.conf` may have that form. */
export type NatsConfig = Readonly<Record<string, unknown>>;

/** The place of a server, which stays the same when the server is started again. */
export interface NatsPlace {
  readonly name: string;
  /** Its address, such as 127.0.0.1. */
  readonly host: string;
  readonly port: number;
  readonly monitorPort: number;
  /** For the other servers of the cluster. */
  readonly routePort: number;
  /** The URLs of all servers of the cluster, for each other; empty if there is one server. */
  readonly routes: readonly string[];
  /** For the configuration. */
  readonly folder: string;
  /** For JetStream's files. */
  readonly store: string;
}

/** How a server is run. */
export interface NatsOptions {
  /** Its address; by default 127.0.0.1. It stays the same when the server is started again. */
  readonly host?: string;
  /** The folder of JetStream's files; by default a new one. It stays the same when the server is started again. */
  readonly store?: string;
  /** Added to the configuration. A block, such as `jetstream`, replaces the whole block. */
  readonly config?: NatsConfig;
  /** Runs the program with another configuration: returns its arguments, and variables of its environment. */
  readonly command?: (place: NatsPlace) => NatsCommand;
  /** Put before the program: a command that becomes it (exec), such as `ip netns exec NAME`. */
  readonly wrapper?: readonly string[];
}

export interface NatsCommand {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A stream, as `/jsz` has it. */
interface StreamDetail {
  readonly name: string;
  readonly cluster?: { readonly leader?: string };
}

interface JetStreamState {
  readonly meta_cluster?: {
    readonly leader?: string;
    readonly cluster_size: number;
    /** The other servers: only their leader knows them. */
    readonly replicas?: readonly { readonly current: boolean; readonly offline?: boolean }[];
  };
  readonly account_details?: readonly { readonly stream_detail?: readonly StreamDetail[] }[];
}

/** Returns the configuration of a server of the tests: JetStream flushes each message to the disk. */
function configOf(place: NatsPlace, config: NatsConfig = {}): NatsConfig {
  const { name, host, port, monitorPort, routePort, routes, store } = place;
  // Clients have the URLs of all servers, and those of proxies in between if a test wants that.
  const cluster = { name: 'tests', listen: `${host}:${routePort}`, routes, no_advertise: true };
  return {
    server_name: name,
    listen: `${host}:${port}`,
    http: `${host}:${monitorPort}`,
    max_payload: 8 * 1024 * 1024,
    jetstream: {
      store_dir: store,
      max_memory_store: 64 * 1024 * 1024,
      max_file_store: 4 * 1024 * 1024 * 1024,
      sync_interval: 'always',
    },
    ...(routes.length === 0 ? {} : { cluster }),
    ...config,
  };
}

/** One of the servers. It can be ended and started again, with the same ports and the same store. */
export class NatsServer {
  readonly place: NatsPlace;
  #options: NatsOptions;
  #child: ChildProcess | undefined;
  #isPaused = false;
  #said = '';

  constructor(place: NatsPlace, options: NatsOptions) {
    this.place = place;
    this.#options = options;
  }

  get name(): string {
    return this.place.name;
  }

  /** Its URL for clients: `nats://HOST:PORT`. */
  get url(): string {
    return `nats://${this.place.host}:${this.place.port}`;
  }

  /** The URL of its monitoring port: `http://HOST:PORT`. */
  get monitorUrl(): string {
    return `http://${this.place.host}:${this.place.monitorPort}`;
  }

  /** The folder of JetStream's files. */
  get storeFolder(): string {
    return this.place.store;
  }

  /** Its log, over all its starts. */
  get log(): string {
    return this.#said;
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error(`${this.name} does not run`);
    return this.#child.pid;
  }

  /** Whether it runs and is not paused. */
  get isAwake(): boolean {
    return this.#child !== undefined && !this.#isPaused;
  }

  /**
   * Starts it, and waits until it listens. Options that are not given stay as they were.
   *
   * @throws {Error} with its log, if it ends instead
   */
  async start(options: NatsOptions = {}): Promise<void> {
    if (this.#child !== undefined) throw new Error(`${this.name} runs already`);
    this.#options = { ...this.#options, ...options };
    const { args, env } = this.#options.command?.(this.place) ?? this.#ownCommand();
    const [program = '', ...rest] = [...(this.#options.wrapper ?? []), 'nats-server', ...args];
    const child = spawn(program, rest, {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    // How the output ends says nothing: the process may be killed in the middle of a line.
    child.stderr.on('error', () => undefined);
    child.on('error', (error) => (this.#said += error.message));
    child.once('close', () => {
      if (this.#child === child) this.#child = undefined;
    });
    undoAtEnd(() => this.#end('SIGKILL'));
    await until(() => this.#child !== child || this.#listens(), `${this.name} to listen`);
    if (this.#child !== child) throw new Error(`${this.name} ended: ${this.#said}`);
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends it as an operator does. */
  async stop(): Promise<void> {
    this.resume();
    await this.#end('SIGTERM');
  }

  /** Pauses it: its connections stay open, and it says nothing. */
  pause(): void {
    process.kill(this.pid, 'SIGSTOP');
    this.#isPaused = true;
  }

  /** Lets it go on; does nothing if it is not paused. */
  resume(): void {
    if (!this.#isPaused) return;
    process.kill(this.pid, 'SIGCONT');
    this.#isPaused = false;
  }

  /** Asks its monitoring port. Returns `undefined` if it does not answer, or that it is not well. */
  async ask<T>(path: string): Promise<T | undefined> {
    if (!this.isAwake) return undefined;
    try {
      const answer = await fetch(this.monitorUrl + path, { signal: AbortSignal.timeout(5_000) });
      return answer.ok ? ((await answer.json()) as T) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Whether its streams are there and as new as those of the other servers, and it knows who leads. */
  async isHealthy(): Promise<boolean> {
    return (await this.ask<{ status: string }>('/healthz'))?.status === 'ok';
  }

  #ownCommand(): NatsCommand {
    const file = join(this.place.folder, 'nats.conf');
    writeFileSync(file, JSON.stringify(configOf(this.place, this.#options.config), undefined, 2));
    return { args: ['-c', file] };
  }

  async #listens(): Promise<boolean> {
    return (await this.ask('/varz')) !== undefined;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const closed = once(child, 'close');
    child.kill(signal);
    await closed;
    this.#isPaused = false;
  }
}

/** One server, or three of one cluster. `cleanUp` ends them. */
export class NatsServers {
  readonly servers: readonly NatsServer[];

  private constructor(servers: readonly NatsServer[]) {
    this.servers = servers;
  }

  /**
   * Starts servers, and waits until JetStream takes requests.
   *
   * @param options for all of them, or those of each by its index
   */
  static async start(
    count: 1 | 3,
    options: NatsOptions | ((index: number) => NatsOptions) = {},
  ): Promise<NatsServers> {
    const ports = await freePorts(3 * count);
    const portsOf = (index: number): number[] => ports.slice(3 * index, 3 * index + 3);
    const indices = Array.from({ length: count }, (_, index) => index);
    const optionsOf = (index: number): NatsOptions =>
      typeof options === 'function' ? options(index) : options;
    const hostOf = (index: number): string => optionsOf(index).host ?? '127.0.0.1';
    const routes = indices.map((index) => `nats://${hostOf(index)}:${portsOf(index)[2] ?? 0}`);
    const servers = indices.map((index) => {
      const [port = 0, monitorPort = 0, routePort = 0] = portsOf(index);
      const where = { host: hostOf(index), port, monitorPort, routePort };
      const folder = newFolder();
      const { store = join(folder, 'store') } = optionsOf(index);
      const place = { ...where, folder, store, name: `nats-${index}` };
      return new NatsServer({ ...place, routes: count === 1 ? [] : routes }, optionsOf(index));
    });
    const started = new NatsServers(servers);
    await Promise.all(servers.map((server) => server.start()));
    await started.ready();
    return started;
  }

  /** The URLs of all servers, separated by commas. */
  get url(): string {
    return this.servers.map(({ url }) => url).join(',');
  }

  /** A server, by its index from 0. */
  server(index: number): NatsServer {
    const server = this.servers[index];
    if (server === undefined) throw new Error(`there is no server ${index}`);
    return server;
  }

  kill(index: number): Promise<void> {
    return this.server(index).kill();
  }

  stop(index: number): Promise<void> {
    return this.server(index).stop();
  }

  pause(index: number): void {
    this.server(index).pause();
  }

  resume(index: number): void {
    this.server(index).resume();
  }

  /** Starts a server again that was ended. Whether JetStream takes requests is for `ready` to say. */
  restart(index: number, options?: NatsOptions): Promise<void> {
    return this.server(index).start(options);
  }

  /** Waits until JetStream takes requests: a majority has a leader, and all servers that run have caught up. */
  async ready(): Promise<void> {
    const awake = this.servers.filter(({ isAwake }) => isAwake);
    const isReady = async (): Promise<boolean> => {
      const healthy = await Promise.all(awake.map((server) => server.isHealthy()));
      return healthy.every(Boolean) && (await this.#isJoined(awake.length));
    };
    await until(isReady, 'JetStream to take requests');
  }

  /** Returns the index of the server that leads JetStream itself, `undefined` while there is none. */
  async metaLeader(): Promise<number | undefined> {
    if (this.servers.length === 1) return this.server(0).isAwake ? 0 : undefined;
    return this.#findLeader(({ meta_cluster: meta }) => meta?.leader);
  }

  /** Returns the index of the server that leads a stream, `undefined` while there is none. */
  async leaderOf(stream: string): Promise<number | undefined> {
    return this.#findLeader(({ account_details: accounts = [] }, { name }) => {
      const streams = accounts.flatMap(({ stream_detail: details = [] }) => details);
      const found = streams.find((one) => one.name === stream);
      // A server that is alone leads whatever it has.
      return found !== undefined && this.servers.length === 1 ? name : found?.cluster?.leader;
    });
  }

  /** Only the leader itself is believed: others name it for some seconds after it has gone. */
  async #findLeader(
    leaderIn: (state: JetStreamState, server: NatsServer) => string | undefined,
  ): Promise<number | undefined> {
    for (const [index, server] of this.servers.entries()) {
      const state = await server.ask<JetStreamState>('/jsz?streams=true&raft=true');
      if (state !== undefined && leaderIn(state, server) === server.name) return index;
    }
    return undefined;
  }

  /** Whether the leader sees so many servers, itself among them, so that it may place a stream on each. */
  async #isJoined(count: number): Promise<boolean> {
    const leader = await this.metaLeader();
    if (leader === undefined || this.servers.length === 1) return leader !== undefined;
    const state = await this.server(leader).ask<JetStreamState>('/jsz');
    const peers = state?.meta_cluster?.replicas ?? [];
    return peers.filter(({ current, offline }) => current && offline !== true).length + 1 >= count;
  }
}
