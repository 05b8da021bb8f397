/** Commands on a cluster and its nodes, as an operator runs them. */
import { join } from 'node:path';
import type { NatsServers } from './nats.ts';
import { type Ended, newFolder, Server, type ServerOptions } from './server.ts';

/** A cluster of one name in NATS. */
export class TestCluster {
  readonly #env: Readonly<Record<string, string>>;

  constructor(servers: NatsServers, stream: string) {
    this.#env = { NATS_URL: servers.url, NATS_STREAM: stream };
  }

  /** The variables of its nodes. */
  get env(): Readonly<Record<string, string>> {
    return this.#env;
  }

  /** Runs a command with a database; by default there is none. */
  command(args: readonly string[], database = join(newFolder(), 'none.sqlite')): Promise<Ended> {
    return Server.run(this.options({ args: ['cluster', ...args], database, tap: false }));
  }

  /** Runs a command that is expected to succeed. @returns what it printed */
  async done(args: readonly string[], database?: string): Promise<string> {
    const ended = await this.command(args, database);
    if (ended.code !== 0) throw new Error(`cluster ${args.join(' ')}: ${ended.stderr}`);
    return ended.stdout;
  }

  /** Starts a node. */
  node(options: ServerOptions = {}): Promise<Server> {
    return Server.start(this.options(options));
  }

  options(options: ServerOptions): ServerOptions {
    return { ...options, env: { ...this.#env, ...options.env } };
  }
}
