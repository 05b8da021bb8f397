import type { Socket } from 'node:net';

/** How many addresses are compared to find the one with the most connections. They are those that became idle first. */
const COMPARED_ADDRESSES = 64;

/** A new connection may have sent its request already. */
const MIN_IDLE_MILLISECONDS = 1000;

/** The time since which a connection has been idle, on the clock of `performance.now()`, and the network of its client. */
interface Idle {
  readonly address: string;
  readonly since: number;
}

/** Connections without a request under way, by the addresses of their clients. */
export class IdleConnections {
  readonly #idle = new Map<Socket, Idle>();
  readonly #byAddress = new Map<string, Set<Socket>>();

  /** The number of idle connections. */
  get size(): number {
    return this.#idle.size;
  }

  /** Adds a connection that has just become idle. */
  add(socket: Socket): void {
    const address = networkOf(socket.remoteAddress ?? '');
    this.#idle.set(socket, { address, since: performance.now() });
    const sockets = this.#byAddress.get(address);
    if (sockets === undefined) this.#byAddress.set(address, new Set([socket]));
    else sockets.add(socket);
  }

  /** Removes a connection. Does nothing if it is not there. */
  delete(socket: Socket): void {
    const idle = this.#idle.get(socket);
    if (idle === undefined) return;
    const { address } = idle;
    this.#idle.delete(socket);
    const sockets = this.#byAddress.get(address);
    sockets?.delete(socket);
    if (sockets?.size === 0) this.#byAddress.delete(address);
  }

  /** Closes all connections for which a condition holds. */
  closeAll(condition: (socket: Socket) => boolean): void {
    for (const socket of this.#idle.keys()) {
      if (!condition(socket)) continue;
      this.delete(socket);
      socket.destroy();
    }
  }

  /**
   * Closes the connection that has been idle longest, of the address that has the most of them: a client that opens
   * thousands loses its own, and shuts out nobody else. Does nothing if that connection has been idle for less than a second.
   *
   * @returns whether one was closed
   */
  closeOldest(): boolean {
    let largest: Set<Socket> | undefined;
    let compared = 0;
    for (const sockets of this.#byAddress.values()) {
      if (sockets.size > (largest?.size ?? 0)) largest = sockets;
      if (++compared === COMPARED_ADDRESSES) break;
    }
    const [oldest] = largest ?? [];
    if (oldest === undefined) return false;
    const since = this.#idle.get(oldest)?.since ?? Infinity;
    if (performance.now() - since < MIN_IDLE_MILLISECONDS) return false;
    this.delete(oldest);
    oldest.destroy();
    return true;
  }
}

/** Returns an address, or its /64 network for IPv6: whoever has one such address has 2^64 of them (RFC 6177). */
function networkOf(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':');
    while (groups.length + after.length < 8) groups.push('0');
    groups.push(...after);
  }
  return groups.slice(0, 4).join(':');
}
