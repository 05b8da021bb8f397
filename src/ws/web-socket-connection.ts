import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { ArrivingBytes } from '../arriving-bytes.ts';
import type { ConnectionOwner } from '../stream/connection.ts';
import type { ByeReason, Unavailable } from '../stream/server-events.ts';
import { SocketConnection } from '../stream/socket-connection.ts';
import { ArrivingMessage } from './arriving-message.ts';
import { type Answer, Incoming } from './incoming.ts';

/** How the end of a stream stands in a close frame (RFC 6455 §7.4; the codes are in IANA's registry). */
export const CLOSE_CODES: Readonly<Record<ByeReason | Unavailable, number>> = {
  /** Going Away. */
  shutdown: 1001,
  /** Policy Violation. */
  'too-slow': 1008,
  /** Try Again Later. */
  'over-limit': 1013,
  unavailable: 1013,
  /** Unauthorized. */
  'token-expired': 3000,
};

/** A peer that has answered none of so many pings is gone. */
const MOST_UNANSWERED = 4;

/**
 * A WebSocket as the connection of a stream: that writes whole frames to the raw socket, the same bytes for all sockets,
 * and `ws` does the rest: it reads what the client sends, and writes pongs, pings and the close frame.
 *
 * Both may write, since `ws` writes a frame at once too: without compression and without blobs, its `Sender` never has a
 * frame of which a part is still to come (lib/sender.js: `sendFrame` corks the socket around header and payload).
 */
export class WebSocketConnection extends SocketConnection {
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;
  readonly #incoming: Incoming;
  readonly #arriving: ArrivingMessage;
  #ending = false;
  #pingedAt = performance.now();
  #unanswered = 0;
  /** What the newest ping of the peer says, until it is answered. */
  #unansweredPing: Buffer | undefined;
  /** How many bytes had come when it was last looked at. */
  #heard: number;

  /** @param arriving where large messages are counted while they arrive */
  constructor(
    webSocket: WebSocket,
    socket: Socket,
    owner: ConnectionOwner,
    answer: Answer,
    arriving: ArrivingBytes,
  ) {
    super(socket, owner, socket);
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#heard = socket.bytesRead;
    this.#incoming = new Incoming(webSocket, this, answer);
    this.#arriving = new ArrivingMessage(webSocket, socket, arriving);
    socket.on('drain', () => this.#incoming.go());
    webSocket.on('ping', (payload) => (this.#unansweredPing = payload));
    // Called behind the listener of `ws`, which has emitted all that is in the piece by then.
    socket.on('data', (piece: Buffer) => {
      this.#pong();
      this.#incoming.wasRead(piece.length);
    });
  }

  /** Takes bytes; behind a close frame nothing may come any more (RFC 6455 §5.5.1), and they are dropped. */
  override write(bytes: Uint8Array): void {
    if (!this.#ending && this.#isOpen) super.write(bytes);
  }

  /** Says last bytes, behind the answers to what is under way, and then shakes hands on the end. */
  override end(bytes: Uint8Array, reason: ByeReason): void {
    void this.#incoming.stop().then(() => {
      this.#ending = true;
      if (!this.#isOpen) return;
      // The closing handshake has its time from when the bytes are out: a slow reader is to get them.
      this.#socket.write(bytes, () => this.#webSocket.close(CLOSE_CODES[reason], reason));
    });
  }

  /**
   * Pings the peer if it is time, and cuts it if it answers no more. Anything that it sends is an answer.
   *
   * A peer that has not taken yet what waits for it is not pinged, and one that is not being read cannot answer.
   *
   * @param now on the clock of `performance.now()`
   * @param interval milliseconds from one ping to the next
   * @returns whether it was pinged or cut
   */
  ping(now: number, interval: number): boolean {
    this.#arriving.check(now);
    if (this.#heard !== this.#socket.bytesRead) {
      this.#heard = this.#socket.bytesRead;
      this.#unanswered = 0;
    }
    if (now - this.#pingedAt < interval || !this.idle || this.#webSocket.isPaused) return false;
    if (this.#unanswered === MOST_UNANSWERED) {
      this.cutStalled();
      return true;
    }
    this.#pingedAt = now;
    this.#unanswered++;
    this.#webSocket.ping();
    return true;
  }

  /** Answers the newest ping of those that came together, as RFC 6455 §5.5.3 allows: ten thousand fit in one read. */
  #pong(): void {
    if (this.#unansweredPing === undefined) return;
    if (!this.#ending && this.#isOpen) this.#webSocket.pong(this.#unansweredPing);
    this.#unansweredPing = undefined;
  }

  get #isOpen(): boolean {
    return this.#webSocket.readyState === this.#webSocket.OPEN;
  }
}
