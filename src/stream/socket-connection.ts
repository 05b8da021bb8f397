import type { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Connection, ConnectionOwner } from './connection.ts';
import type { ByeReason } from './server-events.ts';
import { LOOK_MILLISECONDS, StalledPeer } from './stalled-peer.ts';

/** At most this much waits in memory for one connection; what is more stays in the log. */
const BUFFER_BYTES = 256 * 1024;

/** A socket as the connection of a stream. */
export class SocketConnection implements Connection {
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  #lastWrite = 0;

  /** @param timed what has the socket's timeout: the socket, or the response that node:http sends on it */
  constructor(socket: Socket, owner: ConnectionOwner, timed: Socket | ServerResponse) {
    this.#socket = socket;
    this.#owner = owner;
    const peer = new StalledPeer(socket);
    socket.on('drain', () => this.#owner.drained());
    socket.once('close', () => this.#owner.closed(false));
    timed.setTimeout(LOOK_MILLISECONDS);
    const emitter: EventEmitter = timed;
    emitter.on('timeout', () => {
      // Also for a connection that has nothing to say; its next write sets the clock again.
      if (this.idle) return;
      if (peer.look()) this.cutStalled();
      else timed.setTimeout(LOOK_MILLISECONDS);
    });
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
    // Not only half: a client that keeps its side open would keep the descriptor, counted by nobody.
    this.#socket.destroySoon();
  }

  cut(): void {
    this.#socket.destroy();
  }

  /** Closes at once, since the peer takes nothing. */
  protected cutStalled(): void {
    // Before it is closed: others look then why it was.
    this.#owner.closed(true);
    this.#socket.destroy();
  }
}
