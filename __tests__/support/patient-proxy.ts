/** A TCP proxy that accepts connections before its server listens, and hands each on as soon as it does. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export class PatientProxy {
  readonly #server: Server;
  readonly #clients = new Set<Socket>();

  private constructor(target: number) {
    this.#server = createServer((client) => void this.#relay(client, target));
  }

  /** Listens on a free port, in front of a server on `target`. */
  static async listen(target: number): Promise<PatientProxy> {
    const proxy = new PatientProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    for (const client of this.#clients) client.destroy();
  }

  async #relay(client: Socket, target: number): Promise<void> {
    this.#clients.add(client);
    client.on('error', () => undefined);
    client.on('close', () => this.#clients.delete(client));
    while (!client.destroyed) {
      const server = connect(target, '127.0.0.1');
      server.on('error', () => undefined);
      server.on('connect', () => {
        client.on('close', () => server.destroy());
        server.on('close', () => client.destroySoon());
        client.pipe(server);
        server.pipe(client);
      });
      if (await isOpen(server)) return;
      await sleep(20);
    }
  }
}

/** Returns whether a connection can be made. */
function isOpen(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('close', () => resolve(false));
  });
}
