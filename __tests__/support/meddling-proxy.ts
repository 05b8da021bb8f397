/** A reverse proxy that does to streams what proxies and networks do. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * `pass`: everything passes; `buffer`: the bytes of a stream are held back; `freeze`: nothing passes, and
 * nothing is closed; `502` and `404`: as if the service was not there, which some proxies call not found.
 */
export type Mode = 'pass' | 'buffer' | 'freeze' | '502' | '404';

/** An answer in place of the service's. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** The proxy's own answer in a mode. */
const OWN: Partial<Record<Mode, Answer>> = {
  502: { status: 502, body: 'Bad Gateway' },
  404: { status: 404, body: 'no such backend' },
};

export class MeddlingProxy {
  /**
   * The requests, such as `POST /messages`, the oldest first; without those that browsers make by themselves.
   */
  readonly requests: string[] = [];
  /** Returns the answer to give in place of the service's, if any. */
  answer: (request: IncomingMessage) => Answer | undefined = () => undefined;
  readonly #server: Server;
  readonly #target: number;
  #port = 0;
  #mode: Mode = 'pass';
  #swallow = 0;
  #instead: Answer | undefined;
  /** Freeze the open connections. */
  readonly #freezers = new Set<() => void>();

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((incoming, outgoing) => this.#relay(incoming, outgoing));
  }

  /** Listens on a free port, in front of a server on `target`. */
  static async listen(target: number): Promise<MeddlingProxy> {
    const proxy = new MeddlingProxy(target);
    await proxy.up();
    return proxy;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Changes the mode, for open connections too. Frozen connections stay frozen. */
  set mode(mode: Mode) {
    this.#mode = mode;
    if (mode === 'freeze') for (const freeze of this.#freezers) freeze();
    if (OWN[mode] !== undefined) this.#server.closeAllConnections();
  }

  /**
   * Loses the answers to so many publishes, after the service has stored them.
   *
   * @param instead the answer in their place
   */
  swallow(answers: number, instead?: Answer): void {
    this.#swallow = answers;
    this.#instead = instead;
  }

  /** Stops listening. */
  async down(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** Listens again on the same port. */
  async up(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Returns the number of requests that begin with this. */
  count(start: string): number {
    return this.requests.filter((one) => one.startsWith(start)).length;
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.down();
  }

  #relay(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method = '', url: path = '', headers } = incoming;
    if (path !== '/favicon.ico') this.requests.push(`${method} ${path}`);
    const given = OWN[this.#mode] ?? this.answer(incoming);
    if (given !== undefined) {
      answerWith(outgoing, given);
      return;
    }
    let isFrozen = this.#mode === 'freeze';
    if (isFrozen) return;
    const freeze = (): void => {
      isFrozen = true;
    };
    this.#freezers.add(freeze);
    const options = { host: '127.0.0.1', port: this.#target, method, path, headers };
    const onward = request(options, (answer) => {
      if (method === 'POST' && this.#swallow > 0) {
        this.#swallow--;
        if (this.#instead === undefined) outgoing.destroy();
        else answerWith(outgoing, this.#instead);
        return;
      }
      if (isFrozen) return;
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      outgoing.flushHeaders();
      const keepsBack = this.#mode === 'buffer' && path.startsWith('/stream');
      answer.on('data', (bytes: Buffer) => {
        if (!isFrozen && !keepsBack) outgoing.write(bytes);
      });
      answer.on('end', () => {
        if (!isFrozen) outgoing.end();
      });
    });
    onward.on('error', () => {
      if (!isFrozen) outgoing.destroy();
    });
    outgoing.on('close', () => {
      this.#freezers.delete(freeze);
      onward.destroy();
    });
    incoming.pipe(onward);
  }
}

function answerWith(outgoing: ServerResponse, { status, headers, body }: Answer): void {
  outgoing.writeHead(status, { 'Content-Type': 'text/html', ...headers }).end(body);
}
