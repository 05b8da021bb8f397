/**
 * Has `Server.start` start nodes of a cluster behind a round robin, which together look like one server: so the suites of
 * one service are those of a cluster, too. `jest.cluster.config.js` loads it into each suite.
 */
import { cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { NatsServers } from './nats.ts';
import { Nodes } from './nodes.ts';
import { newFolder, type Ended, type Server, type ServerOptions, startServersWith } from './server.ts';

const NODES = Number(process.env['TIDINGS_NODES'] ?? 3);

/** A cluster that was started, so that it can be started again. */
interface Known {
  readonly nats: NatsServers;
  readonly prefix: string;
  readonly databases: readonly string[];
}

/** By the database of the first node, the one that a test knows. */
const known = new Map<string, Known>();

/** Lives as long as a suite does not clean up. Each cluster has a prefix of its own in it. */
let nats: NatsServers | undefined;

async function runningNats(): Promise<NatsServers> {
  if (nats?.server(0).isAwake !== true) nats = await NatsServers.start(1);
  return nats;
}

/** Gives another node what a test may have changed in the database that it knows. Both nodes have ended. */
function copyDatabase(database: string, other: string): void {
  for (const end of ['', '-wal', '-shm']) {
    rmSync(`${other}${end}`, { force: true });
    if (end !== '-shm' && existsSync(`${database}${end}`)) cpSync(`${database}${end}`, `${other}${end}`);
  }
}

/** The retention belongs to the log: nodes that are started again with another one go on with that of the log. */
async function changeRetention(nodes: Nodes, env: Readonly<Record<string, string>>): Promise<void> {
  const { RETENTION_DAYS: days, RETENTION_MESSAGES: messages } = env;
  if (days === undefined && messages === undefined) return;
  await nodes.command('retention', '--days', days ?? '0', '--messages', messages ?? '0');
}

class NodesServer implements Server {
  readonly database: string;
  readonly #nodes: Nodes;
  readonly #ended: Promise<Ended>;

  private constructor(nodes: Nodes) {
    this.#nodes = nodes;
    this.database = nodes.databaseOf(0);
    this.#ended = this.#end();
  }

  static async start(options: ServerOptions): Promise<NodesServer> {
    const { database = join(newFolder(), 'tidings.sqlite'), port = 0, env = {}, ...others } = options;
    const before = known.get(database);
    const isAgain = before?.nats.server(0).isAwake === true;
    if (isAgain) for (const other of before.databases.slice(1)) copyDatabase(database, other);
    const nodes = await Nodes.start(NODES, {
      nats: isAgain ? before.nats : await runningNats(),
      ...(isAgain ? { prefix: before.prefix, isInitialized: true } : {}),
      port,
      env,
      hidesLag: true,
      node: (index) => {
        const own = index === 0 ? database : isAgain ? before.databases[index] : undefined;
        return own === undefined ? others : { ...others, database: own };
      },
    });
    const databases = nodes.indices.map((index) => nodes.databaseOf(index));
    if (isAgain) await changeRetention(nodes, env);
    known.set(database, { nats: nodes.nats, prefix: nodes.prefix, databases });
    return new NodesServer(nodes);
  }

  get url(): string {
    return this.#nodes.url;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  get pid(): number {
    return this.#nodes.node(0).pid;
  }

  get stdout(): string {
    return this.#all.map(({ stdout }) => stdout).join('');
  }

  get stderr(): string {
    return this.#all.map(({ stderr }) => stderr).join('');
  }

  get ended(): Promise<Ended> {
    return this.#ended;
  }

  get #all(): Server[] {
    return this.#nodes.indices.map((index) => this.#nodes.node(index));
  }

  signal(name: NodeJS.Signals): void {
    for (const node of this.#all) node.signal(name);
  }

  async freeze(): Promise<void> {
    await Promise.all(this.#all.map((node) => node.freeze()));
  }

  async waitForCheck(): Promise<void> {
    await Promise.all(this.#all.map((node) => node.waitForCheck()));
  }

  raiseFileSizeLimit(): void {
    for (const node of this.#all) node.raiseFileSizeLimit();
  }

  async stop(): Promise<Ended> {
    this.signal('SIGTERM');
    return this.#ended;
  }

  async kill(): Promise<Ended> {
    this.signal('SIGKILL');
    return this.#ended;
  }

  /** Returns how all of them ended: as the first one that ended badly, if there is one. */
  async #end(): Promise<Ended> {
    const ends = await Promise.all(this.#all.map(({ ended }) => ended));
    await this.#nodes.closeFront();
    const { code = null, signal = null } = ends.find((end) => end.code !== 0) ?? ends[0] ?? {};
    return { code, signal, stdout: this.stdout, stderr: this.stderr };
  }
}

startServersWith((options) => NodesServer.start(options));
