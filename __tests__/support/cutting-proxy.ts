/** A TCP proxy that lets an exact number of a server's bytes through, and then resets the connection. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class CuttingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #allowance = Infinity;

  private constructor(target: number) {
    this.#server = createServer((client) => this.#relay(client, connect(target, '127.0.0.1')));
  }

  /** Listens on a free port, in front of a server on `target`. */
  static async listen(target: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Lets exactly so many more bytes of the server pass; with the last of them the connection is reset. */
  allow(bytes: number): void {
    this.#allowance = bytes;
    if (bytes === 0) this.#cut();
  }

  /** Lets everything pass again, on new connections. */
  allowAll(): void {
    this.#allowance = Infinity;
  }

  async close(): Promise<void> {
    this.#cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #relay(client: Socket, server: Socket): void {
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    client.setNoDelay(true).pipe(server);
    server.on('data', (bytes: Buffer) => {
      const passing = bytes.subarray(0, this.#allowance);
      this.#allowance -= passing.length;
      if (this.#allowance > 0) {
        client.write(passing);
        return;
      }
      server.destroy();
      client.write(passing, () => client.resetAndDestroy());
    });
  }

  #cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }
}
