/** A TCP proxy in front of several servers: each new connection goes to the next one that accepts it. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Transform } from 'node:stream';

export interface RoundRobinOptions {
  /** Returns where the servers listen. Without one a connection is reset. */
  readonly ports: () => readonly number[];
  /** Its own port; 0, the default, takes a free one. */
  readonly port?: number | undefined;
  /** Waited for before bytes of a client are passed on. */
  readonly hold?: ((bytes: Buffer) => Promise<void>) | undefined;
}

export class RoundRobin {
  readonly #server: Server;
  readonly #options: RoundRobinOptions;
  readonly #sockets = new Set<Socket>();
  #next = 0;
  #port = 0;

  private constructor(options: RoundRobinOptions) {
    this.#options = options;
    // The other side may still answer after one has ended.
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
      this.#hold(client);
      void this.#serve(client);
    });
  }

  /** Listens on loopback. */
  static async listen(options: RoundRobinOptions): Promise<RoundRobin> {
    const proxy = new RoundRobin(options);
    proxy.#server.listen(options.port ?? 0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    proxy.#port = (proxy.#server.address() as AddressInfo).port;
    return proxy;
  }

  /** Its URL, also when it has ended: `http://127.0.0.1:PORT`. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Takes no connection more, and resets those that are open. Does nothing if it is closed. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await once(this.#server, 'close');
  }

  async #serve(client: Socket): Promise<void> {
    const ports = this.#options.ports();
    const first = this.#next++;
    for (const index of ports.keys()) {
      const server = await open(ports[(first + index) % ports.length] ?? NaN);
      if (server === undefined) continue;
      this.#hold(server);
      join(client, server, this.#options.hold);
      return;
    }
    client.resetAndDestroy();
  }

  #hold(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
  }
}

/** Connects to a port of loopback; `undefined` if nobody accepts. */
async function open(port: number): Promise<Socket | undefined> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  try {
    await once(socket, 'connect');
    return socket;
  } catch {
    return undefined;
  }
}

/** Has each of two connections say what the other one says, also how that ends. */
function join(client: Socket, server: Socket, hold: RoundRobinOptions['hold']): void {
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    // A connection that is reset closes without an end.
    from.on('close', () => (from.readableEnded ? to.destroySoon() : to.resetAndDestroy()));
    from.setNoDelay(true);
  }
  server.pipe(client);
  if (hold === undefined) client.pipe(server);
  else client.pipe(heldBy(hold)).pipe(server);
  if (client.destroyed) server.resetAndDestroy();
}

function heldBy(hold: (bytes: Buffer) => Promise<void>): Transform {
  return new Transform({
    transform(bytes: Buffer, _encoding, done) {
      void hold(bytes).then(() => done(null, bytes));
    },
  });
}
