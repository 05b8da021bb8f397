/** A TCP proxy that can lose a connection as networks do: nothing arrives any more, and nobody is told. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { undoAtEnd } from './server.ts';

/** The address and the ports of a server. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

/** The link from one client to one server. */
export class CutLink {
  readonly #server: Server;
  readonly #target: Target;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  private constructor(target: Target) {
    this.#target = target;
    this.#server = createServer({ pauseOnConnect: true }, (client) => this.#join(client));
  }

  /** Listens on loopback until the end of the suite. */
  static async to(target: Target): Promise<CutLink> {
    const link = new CutLink(target);
    link.#server.listen(0, '127.0.0.1');
    await once(link.#server, 'listening');
    undoAtEnd(() => link.#close());
    return link;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts the link: bytes and ends of connections wait on the way. New connections lead nowhere. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Lets bytes pass again, even those that wait. */
  heal(): void {
    this.#isCut = false;
    for (const socket of this.#sockets) socket.resume();
  }

  #join(client: Socket): void {
    const server = connect(this.#target);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (bytes) => to.write(bytes));
      from.on('error', () => undefined);
      from.on('end', () => to.end());
      from.on('close', () => {
        this.#sockets.delete(from);
        // A paused socket never says that it has ended: this one was reset, or `to` has ended it.
        if (!this.#isCut) to.destroySoon();
      });
      if (this.#isCut) from.pause();
      else from.resume();
    }
  }

  async #close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
