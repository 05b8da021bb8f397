/** A node of a cluster inside the process of the test: the whole HTTP side, over a log in memory that follows a stream in memory. */
import { pino } from 'pino';
import { createApp } from '../../src/app.ts';
import { type assemble as Assemble, assemble } from '../../src/assemble.ts';
import { readConfig } from '../../src/config/config.ts';
import { HttpServer } from '../../src/http/server.ts';
import type { OrderTimes } from '../../src/log/order/jetstream-options.ts';
import { newVapidKeys } from '../../src/push/vapid.ts';
import { MemoryLog } from './memory-log.ts';
import type { MemoryStream } from './memory-stream.ts';
import { until } from './until.ts';

const OPEN_FILES = 1024;

/** The options of a node. */
export interface MemoryNodeOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly times?: OrderTimes;
  /** The time over which connections are ended if the node is cut off, in milliseconds. */
  readonly spread?: number;
}

/** A node that serves HTTP. */
export class MemoryNode {
  readonly memory: MemoryLog;
  readonly parts: ReturnType<typeof Assemble>;
  /** The lines of its log, each with its level. */
  readonly lines: readonly { readonly level: number; readonly msg: string; readonly err?: Error }[];
  readonly #http: HttpServer;

  private constructor(
    memory: MemoryLog,
    parts: MemoryNode['parts'],
    lines: MemoryNode['lines'],
    http: HttpServer,
  ) {
    this.memory = memory;
    this.parts = parts;
    this.lines = lines;
    this.#http = http;
  }

  /** Starts a node. @param stream gives the order; without one, the order is local */
  static async start(
    stream: MemoryStream | undefined,
    { env = {}, times, spread = 200 }: MemoryNodeOptions = {},
  ): Promise<MemoryNode> {
    const lines: MemoryNode['lines'][number][] = [];
    const write = (line: string): void => void lines.push(JSON.parse(line) as MemoryNode['lines'][number]);
    const logger = pino({ base: null }, { write });
    const config = readConfig({ PORT: '0', ...env }, [], OPEN_FILES);
    const http = await HttpServer.listen('127.0.0.1', 0, OPEN_FILES);
    const memory = new MemoryLog({ now: Date.now, stream, times, logger });
    const { log } = memory;
    const surroundings = { config, logger, lines: { dropped: 0 }, now: Date.now };
    const outageTimes = { look: 10, spread };
    const opened = { tokens: undefined, http, log, vapidKeys: newVapidKeys(), outageTimes };
    const parts = assemble(surroundings, opened);
    log.onCommit((messages) => parts.hub.dispatch(messages));
    parts.connections.start();
    parts.heartbeats.start();
    if (stream !== undefined) parts.outage.start();
    http.serve(createApp(parts, config));
    const node = new MemoryNode(memory, parts, lines, http);
    if (stream !== undefined) await node.waitFor('following');
    return node;
  }

  get url(): string {
    return this.#http.origin;
  }

  get log(): MemoryLog['log'] {
    return this.memory.log;
  }

  /** Waits until its order is in a state. */
  async waitFor(state: string): Promise<void> {
    await until(() => this.memory.order?.state === state, `the order to be ${state}`);
  }

  /** Ends it, as a service is ended. */
  async close(): Promise<void> {
    const { connections, heartbeats, presence, outage } = this.parts;
    connections.beginShutdown();
    const closed = this.#http.close(1000);
    await this.log.seal();
    await connections.shutdown();
    await closed;
    for (const clock of [connections, heartbeats, presence, outage]) clock.stop();
    await this.memory.close();
  }
}
