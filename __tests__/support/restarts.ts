/** Messages that are hostile to parsers, published before, while and after the service ends, again and again. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { RETRY_SERVED } from '../../src/wire/server-events.ts';
import { get, publish, send } from './api.ts';
import { type ForeignClient, messagesIn } from './foreign-client.ts';
import { INJECTIONS } from './hostile-text.ts';
import { Publisher } from './publisher.ts';
import { pullAll } from './pull.ts';
import { Server, type ServerOptions } from './server.ts';
import { until } from './until.ts';

const LARGEST_CONTENT = 48 * 1024;

/** Contents that parsers of streams, lines and JSON stumble over. */
const HOSTILE_CONTENTS: readonly unknown[] = [
  ...INJECTIONS,
  INJECTIONS.join(''),
  '',
  ' ',
  null,
  '{"type":"bye"}',
  'a\u2028b\u2029c\u0085d\ve\ff\x1cg\x1dh\x1ei',
  '\ufeff\ufffe\uffff\ufffd',
  '👩‍👩‍👧‍👦 🇨🇭 é e\u0301 \u{10ffff}',
  { id: 99, event: 'bye', data: { '\n\nid: 99\n\n': '\r' }, retry: 1, type: 'bye' },
  [[[[[[[[[[{ deep: [] }]]]]]]]]]],
  JSON.parse(`${'['.repeat(400)}${']'.repeat(400)}`),
  [Number.MAX_VALUE, Number.MIN_VALUE, Number.MAX_SAFE_INTEGER, -0.1],
  'x'.repeat(LARGEST_CONTENT - 2),
  '🙂'.repeat(12_000),
];

/** A service that ends and is started again, on the same port, with the same log. */
export class RestartedServer {
  readonly #options: ServerOptions;
  #server: Server;

  private constructor(server: Server, options: ServerOptions) {
    this.#server = server;
    this.#options = { ...options, database: server.database, port: server.port };
  }

  static async start(env: Readonly<Record<string, string>> = {}): Promise<RestartedServer> {
    const options = { env: { PUBLISH_RATE: '0', HEARTBEAT_SECONDS: '1', ...env } };
    return new RestartedServer(await Server.start(options), options);
  }

  get url(): string {
    return this.#server.url;
  }

  /** The URL of a stream of an address, another one for each name. */
  streamOf(recipient: string, name: string): string {
    return `${this.url}/stream?recipient=${recipient}&recipient=${name}`;
  }

  send(recipient: string, content: unknown): Promise<unknown> {
    return send(this.url, recipient, content);
  }

  /** Waits until so many streams of an address are open. */
  waitForDevices(recipient: string, count: number): Promise<void> {
    return waitForDevices(this.url, recipient, count);
  }

  /**
   * Publishes to an address, and ends the service in between: before the messages were taken, while they are published,
   * and while its clients come back.
   *
   * @param devices how many streams of that address come back each time
   */
  async publishThroughEnds(recipient: string, devices: number): Promise<void> {
    const acknowledged: unknown[] = [];
    const sendAll = async (url: string, contents: readonly unknown[]): Promise<void> => {
      for (const content of contents) acknowledged.push(await send(url, recipient, content));
    };
    const back = (): Promise<void> => this.waitForDevices(recipient, devices);

    await sendAll(this.url, HOSTILE_CONTENTS);
    await publish(this.url, { recipient, content: 'fleeting', ephemeral: true });
    acknowledged.push(...(await this.#endWhilePublishing('stop', recipient)));
    await this.#startAgain();
    await sendAll(this.url, ['before they are back', ...INJECTIONS]);
    await back();

    // More than a slow client has taken when the service is killed: somewhere in the middle of a frame.
    const large = Array.from({ length: 40 }, (_, index) => ({
      recipient,
      content: `${index} `.padEnd(40_000, 'x'),
    }));
    acknowledged.push(...((await publish(this.url, large)).body as unknown[]));
    await this.#server.kill();
    // Until each of them has been refused a connection at least once.
    const refused = sleep(RETRY_SERVED.max + 500);
    const elsewhere = await Server.start({ ...this.#options, port: 0 });
    await sendAll(elsewhere.url, ['where nobody looks', ...INJECTIONS]);
    await elsewhere.kill();
    await refused;

    await this.#startAgain();
    await back();
    acknowledged.push(...(await this.#endWhilePublishing('kill', recipient)));

    // And while they come back.
    await this.#startAgain();
    await this.waitForDevices(recipient, 1);
    await this.#server.kill();
    await this.#startAgain();
    await back();
    await sendAll(this.url, ['the last']);
    expect(await pullAll(this.url, recipient)).toEqual(expect.arrayContaining(acknowledged));
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    await this.#server.kill();
  }

  /** Ends it as an operator does, and starts it again. */
  async restart(): Promise<void> {
    await this.#server.stop();
    await this.#startAgain();
  }

  /**
   * Kills it, and answers 502 in its place, as a proxy does, until each of so many targets was asked for; publishes
   * meanwhile, and starts it again.
   */
  async failAsProxiesDo(recipient: string, targets: number): Promise<void> {
    await this.#server.kill();
    const elsewhere = await Server.start({ ...this.#options, port: 0 });
    await send(elsewhere.url, recipient, 'while a proxy answered 502');
    await elsewhere.stop();
    const asked = new Set<string>();
    const proxy = createServer((request, response) => {
      const isPreflight = request.method === 'OPTIONS';
      const target = new URL(request.url ?? '', this.url);
      // A client that makes a new EventSource asks for the same target with another position.
      target.searchParams.delete('lastEventId');
      response.on('close', () => {
        if (response.writableFinished && !isPreflight) asked.add(target.href);
      });
      response.setHeader('Connection', 'close');
      // As a page of the same origin would see it.
      response.setHeader('Access-Control-Allow-Origin', '*');
      response.setHeader('Access-Control-Allow-Headers', 'last-event-id');
      response.writeHead(isPreflight ? 204 : 502).end();
    }).listen(this.#options.port, '127.0.0.1');
    await once(proxy, 'listening');
    await until(() => asked.size >= targets, `${targets} targets to be asked for, not ${asked.size}`);
    // Not those that are open: what was answered is to arrive.
    proxy.close();
    proxy.closeIdleConnections();
    await once(proxy, 'close');
    await this.#startAgain();
    await send(this.url, recipient, 'after the 502');
  }

  /** @returns what was acknowledged */
  async #endWhilePublishing(end: 'kill' | 'stop', recipient: string): Promise<readonly unknown[]> {
    const publisher = new Publisher(this.url, recipient, end);
    await until(() => publisher.stored.length > 20, 'some messages');
    await this.#server[end]();
    await publisher.end();
    return publisher.stored;
  }

  async #startAgain(): Promise<void> {
    this.#server = await Server.start(this.#options);
  }
}

/** Waits until so many streams of an address are open. */
export async function waitForDevices(url: string, recipient: string, count: number): Promise<void> {
  const devices = async (): Promise<number> => {
    const answer = await get(url, `/presence?recipient=${encodeURIComponent(recipient)}`);
    return (answer.body as Record<string, { devices: number }>)[recipient]?.devices ?? 0;
  };
  await until(async () => (await devices()) >= count, `${count} streams of ${recipient}`);
}

/** Waits until a client has the newest message of an address, and makes sure that it has all: in order, and once. */
export async function expectExact(client: ForeignClient, url: string, recipient: string): Promise<void> {
  const log = await pullAll(url, recipient);
  const last = log.at(-1)?.id;
  await until(async () => (await client.lastId()) === last, `${client.name} to have message ${last}`);
  const messages = messagesIn(await client.received());
  expect(messages.map(({ id }) => id)).toEqual(log.map(({ id }) => id));
  expect(messages).toEqual(log);
}
