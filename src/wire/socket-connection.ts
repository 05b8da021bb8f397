import type { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Connection, ConnectionOwner } from './connection.ts';
import type { ByeReason } from './server-events.ts';
import { LOOK_MILLISECONDS, StalledPeer } from './stalled-peer.ts';

/** The maximum number of bytes waiting in memory for one connection. The rest stays in the log. */
const BUFFER_BYTES = 256 * 1024;

/** The connection of a stream that is a plain socket. */
export class SocketConnection implements Connection {
  readonly #socket: Socket;
  readonly #timed: Socket | ServerResponse;
  #owner: ConnectionOwner | undefined;
  #lastWrite = 0;

  /**
   * @param timed the object that emits the socket's timeouts: the socket, or the response that node:http sends on it
   */
  constructor(socket: Socket, timed: Socket | ServerResponse) {
    this.#socket = socket;
    this.#timed = timed;
  }

  start(owner: ConnectionOwner): void {
    this.#owner = owner;
    this.#socket.on('drain', () => owner.drained());
    this.#socket.once('close', () => owner.closed(false));
    this.#cutWhenStalled();
  }

  get lastWrite(): number {
    return this.#lastWrite;
  }

  get idle(): boolean {
    return this.#socket.writableLength === 0;
  }

  get buffered(): number {
    return this.#socket.writableLength;
  }

  get room(): number {
    return BUFFER_BYTES - this.#socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    this.#lastWrite = performance.now();
    this.#socket.write(bytes);
  }

  end(bytes: Uint8Array, _reason: ByeReason): void {
    this.#socket.end(bytes);
    // Close both directions: a client that keeps its side open would hold a descriptor that nothing counts.
    this.#socket.destroySoon();
  }

  cut(): void {
    this.#socket.destroy();
  }

  /** Closes at once, because the peer reads nothing. */
  protected cutStalled(): void {
    // Tell the owner the reason first: the listeners of `close` are called after this.
    this.#owner?.closed(true);
    this.#socket.destroy();
  }

  #cutWhenStalled(): void {
    const timed = this.#timed;
    const peer = new StalledPeer(this.#socket);
    timed.setTimeout(LOOK_MILLISECONDS);
    const emitter: EventEmitter = timed;
    emitter.on('timeout', () => {
      // A connection with nothing to send also times out. Its next write restarts the timeout.
      if (this.idle) return;
      if (peer.look()) this.cutStalled();
      else timed.setTimeout(LOOK_MILLISECONDS);
    });
  }
}
