/** A client of a proxy that speaks one version of HTTP with it: requests, and streams that are looked at as bytes. */
import { connect } from 'node:http2';
import { request } from 'node:https';
import type { Readable } from 'node:stream';
import type { WireMessage } from './api.ts';
import { FrameLaw } from './frame-law.ts';
import { Person } from './persons.ts';
import type { Proxy } from './proxy.ts';
import { until } from './until.ts';

export const VERSIONS = ['HTTP/1.1', 'HTTP/2'] as const;

export interface ProxyRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Gives the request up. */
  readonly signal?: AbortSignal;
}

/** The beginning of an answer, and what follows. */
interface Begun {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Readable;
  /** Goes, without a word. */
  readonly leave: () => void;
}

export interface ProxyAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** A longer header than node:http2 sends otherwise. */
const MAX_HEADER_BYTES = 1024 * 1024;

export class ProxyClient {
  readonly proxy: Proxy;
  readonly version: (typeof VERSIONS)[number];
  readonly #headers: Readonly<Record<string, string>>;

  /** @param headers sent with each request */
  constructor(proxy: Proxy, version: (typeof VERSIONS)[number], headers: Readonly<Record<string, string>>) {
    this.proxy = proxy;
    this.version = version;
    this.#headers = headers;
  }

  /** Says which one it is, for a name of its own and for what goes wrong. */
  get name(): string {
    return `${this.proxy.name} by ${this.version}`;
  }

  /** Sends a request on a connection of its own, and waits for the whole answer. */
  async ask(path: string, asked: ProxyRequest = {}): Promise<ProxyAnswer> {
    const { status, headers, body, leave } = await this.#begin(path, asked);
    let text = '';
    for await (const piece of body.setEncoding('utf8')) text += piece as string;
    leave();
    return { status, headers, text };
  }

  /** Opens a stream, which settles with the beginning of the answer; `query` is what follows `/stream?`. */
  async open(query: string, headers: Readonly<Record<string, string>> = {}): Promise<ProxyStream> {
    const sent = { Accept: 'text/event-stream', ...headers };
    return new ProxyStream(await this.#begin(`/stream?${query}`, { headers: sent }));
  }

  #begin(path: string, asked: ProxyRequest): Promise<Begun> {
    const whole = { method: 'GET', ...asked, headers: { ...this.#headers, ...asked.headers } };
    return this.version === 'HTTP/2' ? this.#beginHttp2(path, whole) : this.#beginHttp1(path, whole);
  }

  #beginHttp1(path: string, { body, ...more }: ProxyRequest): Promise<Begun> {
    return new Promise((resolve, reject) => {
      const options = { ...more, agent: false as const, ca: this.proxy.ca.pem };
      const sent = request(this.proxy.url + path, options, (answer) => {
        const leave = (): void => void answer.destroy();
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answer, leave });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  #beginHttp2(path: string, { method, headers, body, signal }: ProxyRequest): Promise<Begun> {
    return new Promise((resolve, reject) => {
      const session = connect(this.proxy.url, {
        ca: this.proxy.ca.pem,
        maxSendHeaderBlockLength: MAX_HEADER_BYTES,
      });
      session.on('error', reject);
      const fields = { ':method': method, ':path': path, ...headers };
      const stream = session.request(fields, { endStream: body === undefined, signal });
      if (body !== undefined) stream.end(body);
      stream.on('error', reject);
      stream.on('close', () => session.close());
      stream.on('response', (answered) =>
        resolve({
          status: answered[':status'] ?? 0,
          headers: answered,
          body: stream,
          leave: () => session.destroy(),
        }),
      );
    });
  }
}

export class ProxyStream {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** The events that it sees, and whether they are in order. */
  readonly law = new FrameLaw({ reader: Person.withoutToken('root', ['*']), follows: () => true });
  /** Whether the answer has ended, or was cut. */
  closed = false;
  readonly #begun: Begun;

  constructor(begun: Begun) {
    this.#begun = begun;
    this.status = begun.status;
    this.headers = begun.headers;
    begun.body.on('data', (bytes: Buffer) => this.law.feed(bytes));
    begun.body.on('error', () => undefined).on('close', () => (this.closed = true));
  }

  get messages(): WireMessage[] {
    return this.law.stored.map(({ message }) => message);
  }

  /** Waits for an event that the service has a name for. */
  async waitFor(event: string): Promise<void> {
    await until(() => this.law.said.includes(event), event);
  }

  async waitForMessages(count: number): Promise<WireMessage[]> {
    await until(() => this.messages.length >= count, `${count} messages, not ${this.messages.length}`);
    return this.messages;
  }

  async waitForEnd(): Promise<void> {
    await until(() => this.closed, 'the end of the stream');
  }

  /** Goes, without a word. */
  leave(): void {
    this.#begun.leave();
  }
}
