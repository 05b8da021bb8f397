/** Several nodes of a cluster: each a process with a database of its own, with NATS behind and a round robin in front. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import { freePorts } from './free-ports.ts';
import { NatsServers } from './nats.ts';
import { RoundRobin } from './round-robin.ts';
import { newFolder, type ServerOptions, ServerProcess, undoAtEnd } from './server.ts';

const MAX_HOLD_MILLISECONDS = 500;

/** Nodes gather changes of presence for 200 ms before they tell each other. */
const PRESENCE_MILLISECONDS = 300;

/** Options of a node: all but what makes it a node of this cluster. */
export type NodeOptions = Omit<ServerOptions, 'port'>;

export interface NodesOptions {
  /** How many NATS servers are behind them, or those that are there already. */
  readonly nats?: 1 | 3 | NatsServers;
  /** The prefix of the names in NATS; by default one that nobody has. */
  readonly prefix?: string;
  /** Whether `cluster init` was run before. */
  readonly isInitialized?: boolean;
  /** The port of the round robin; 0, the default, takes a free one. */
  readonly port?: number;
  /** Whether the round robin passes nothing on before all nodes know what one of them does. */
  readonly hidesLag?: boolean;
  /** For `cluster init` and all nodes. */
  readonly env?: Readonly<Record<string, string>>;
  /** Returns the options of a node by its index, which replace those for all. */
  readonly node?: (index: number) => NodeOptions;
}

/** A node, also while it does not run: its port and its database stay the same. */
interface Place {
  readonly port: number;
  readonly database: string;
  options: NodeOptions;
  process: ServerProcess | undefined;
  /** The process that was started last, which may have ended by itself. */
  last?: ServerProcess;
  /** Its exit code or signal, once it has ended. */
  end?: string;
}

/** How far nodes are, seen in their databases. */
class Levels {
  readonly #places: () => readonly Place[];
  readonly #readers = new Map<string, Sqlite.Database>();
  #last = 0;

  constructor(places: () => readonly Place[]) {
    this.#places = places;
  }

  /**
   * Waits until all have applied the same entries, and can be read that far; not for a node that stands still.
   *
   * @param withPresence waits until they have told each other of their devices, too
   */
  async areEqual(withPresence: boolean): Promise<void> {
    if (withPresence) await sleep(PRESENCE_MILLISECONDS);
    const end = performance.now() + MAX_HOLD_MILLISECONDS;
    let sequences = this.#read();
    while (new Set(sequences).size > 1 && performance.now() < end) {
      await sleep(2);
      sequences = this.#read();
    }
    const newest = Math.max(...sequences);
    // The node's main thread learns a moment later that its database has it.
    if (newest !== this.#last) await sleep(5);
    this.#last = newest;
  }

  close(): void {
    for (const reader of this.#readers.values()) reader.close();
    this.#readers.clear();
  }

  #read(): number[] {
    return this.#places().map(({ database }) => {
      const reader = this.#readers.get(database) ?? new Sqlite(database, { readonly: true });
      this.#readers.set(database, reader);
      return reader.prepare('SELECT sequence FROM position').pluck().get() as number;
    });
  }
}

/** Whether bytes of a client have a request that is answered with the presence of addresses. */
function asksForPresence(bytes: Buffer): boolean {
  return /^GET \S*\bpresence\b/m.test(bytes.toString('latin1'));
}

/** The nodes of a cluster. `cleanUp` ends them. */
export class Nodes {
  readonly nats: NatsServers;
  readonly prefix: string;
  readonly #options: NodesOptions;
  readonly #places: Place[] = [];
  #robin: RoundRobin | undefined;

  private constructor(nats: NatsServers, prefix: string, options: NodesOptions) {
    this.nats = nats;
    this.prefix = prefix;
    this.#options = options;
  }

  /** Starts NATS, runs `cluster init`, starts nodes, and waits until all of them listen. */
  static async start(count: number, options: NodesOptions = {}): Promise<Nodes> {
    const { nats = 1, prefix = `t${randomBytes(6).toString('hex')}`, isInitialized = false } = options;
    const servers = typeof nats === 'number' ? await NatsServers.start(nats) : nats;
    const nodes = new Nodes(servers, prefix, options);
    const ports = await freePorts(count);
    for (const [index, port] of ports.entries()) nodes.#place(port, options.node?.(index) ?? {});
    if (!isInitialized) await nodes.command('init', '--replicas', String(servers.servers.length));
    await Promise.all(ports.map((_, index) => nodes.restart(index)));
    const levels = options.hidesLag === true ? new Levels(() => nodes.#running()) : undefined;
    const robin = await RoundRobin.listen({
      ports: () => nodes.#running().map((place) => place.port),
      port: options.port,
      hold: levels && ((bytes) => levels.areEqual(asksForPresence(bytes))),
    });
    undoAtEnd(() => robin.close());
    undoAtEnd(() => levels?.close());
    nodes.#robin = robin;
    return nodes;
  }

  /** The round robin over all nodes: `http://127.0.0.1:PORT`. */
  get url(): string {
    return this.#robin?.url ?? '';
  }

  get count(): number {
    return this.#places.length;
  }

  /** The indices of all nodes. */
  get indices(): number[] {
    return [...this.#places.keys()];
  }

  /** The indices of nodes that were started and not ended since, except by themselves. */
  get startedIndices(): number[] {
    return this.indices.filter((index) => this.#at(index).process !== undefined);
  }

  /** The URL of a node, also while it does not run: `http://127.0.0.1:PORT`. */
  urlOf(index: number): string {
    return `http://127.0.0.1:${this.#at(index).port}`;
  }

  /** The database of a node. */
  databaseOf(index: number): string {
    return this.#at(index).database;
  }

  /** Returns a node that runs, by its index from 0. */
  node(index: number): ServerProcess {
    const { process } = this.#at(index);
    if (process === undefined) throw new Error(`node ${index} does not run`);
    return process;
  }

  /** Ends a node as a crash does. */
  async kill(index: number): Promise<void> {
    const node = this.node(index);
    this.#at(index).process = undefined;
    await node.kill();
  }

  /** Ends a node as an operator does. Connections that come meanwhile go to the others. */
  async stop(index: number): Promise<void> {
    const node = this.node(index);
    this.#at(index).process = undefined;
    await node.stop();
  }

  /** Freezes a node: its connections stay open, and it says nothing. */
  pause(index: number): void {
    this.node(index).signal('SIGSTOP');
  }

  /** Lets a node go on. */
  resume(index: number): void {
    this.node(index).signal('SIGCONT');
  }

  /** Starts a node that was ended, and waits until it listens. Options that are not given stay as they were. */
  async restart(index: number, options: NodeOptions = {}): Promise<ServerProcess> {
    const place = this.#at(index);
    place.options = { ...place.options, ...options };
    const { port, database } = place;
    const env = { ...this.#env(), NODE_NAME: `node-${index}`, ...place.options.env };
    const process = await ServerProcess.start({ ...place.options, port, database, env });
    place.process = place.last = process;
    delete place.end;
    void process.ended.then(({ code, signal }) => {
      if (place.last === process) place.end = String(code ?? signal);
    });
    return process;
  }

  /** The lines that a node has logged since its last start, and how it ended, if it did: for the reports of failures. */
  lastWords(index: number): { readonly code: string | undefined; readonly stderr: string } {
    const { end, last } = this.#at(index);
    return { code: end, stderr: last?.stderr ?? '' };
  }

  /** Starts one node more, with an empty database. Returns its index. */
  async add(options: NodeOptions = {}): Promise<number> {
    const [port = 0] = await freePorts(1);
    this.#place(port, options);
    const index = this.count - 1;
    await this.restart(index);
    return index;
  }

  /** Runs `tidings cluster …` with the database of node 0, and expects it to succeed. Returns what it printed. */
  async command(...words: readonly string[]): Promise<string> {
    const { database } = this.#at(0);
    const args = ['cluster', ...words];
    const said = await ServerProcess.launch({ args, database, env: this.#env(), tap: false }).ended;
    if (said.code !== 0) throw new Error(`cluster ${words.join(' ')} failed: ${JSON.stringify(said)}`);
    return said.stdout;
  }

  /** Closes the round robin, and does not touch the nodes. */
  async closeFront(): Promise<void> {
    await this.#robin?.close();
  }

  #place(port: number, options: NodeOptions): void {
    const database = options.database ?? join(newFolder(), 'tidings.sqlite');
    this.#places.push({ port, database, options, process: undefined });
  }

  #at(index: number): Place {
    const place = this.#places[index];
    if (place === undefined) throw new Error(`there is no node ${index}`);
    return place;
  }

  #running(): Place[] {
    return this.#places.filter(({ process }) => process !== undefined);
  }

  #env(): Record<string, string> {
    return { NATS_URL: this.nats.url, NATS_STREAM: this.prefix, ...this.#options.env };
  }
}
