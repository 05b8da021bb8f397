import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { ArrivingBytes } from '../wire/arriving-bytes.ts';
import type { ConnectionOwner } from '../wire/connection.ts';
import type { ByeReason, Unavailable } from '../wire/server-events.ts';
import { SocketConnection } from '../wire/socket-connection.ts';
import { ArrivingMessage } from './arriving-message.ts';
import { type Answer, IncomingMessages } from './incoming-messages.ts';

/** The codes of close frames, by the reason for the end (RFC 6455 §7.4; the codes are in IANA's registry). */
export const CLOSE_CODES: Readonly<Record<ByeReason | Unavailable, number>> = {
  /** Going Away. */
  shutdown: 1001,
  /** Policy Violation. */
  'too-slow': 1008,
  /** Try Again Later. */
  'over-limit': 1013,
  unavailable: 1013,
  behind: 1013,
  disconnected: 1013,
  /** Unauthorized. */
  'token-expired': 3000,
};

/** The number of unanswered pings after which a peer is considered gone. */
const MAX_UNANSWERED = 4;

/**
 * The connection of a stream that is a WebSocket. The stream writes whole frames to the raw socket, the same bytes for
 * all clients. `ws` does the rest: it reads the client's frames, and writes pongs, pings and the close frame.
 *
 * Both can write, because `ws` also writes each frame in one piece: without compression and blobs, its `Sender` never
 * has half a frame left to write (lib/sender.js: `sendFrame` corks the socket around header and payload).
 */
export class WebSocketConnection extends SocketConnection {
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;
  readonly #answer: Answer;
  readonly #arriving: ArrivingMessage;
  #incoming: IncomingMessages | undefined;
  #ending = false;
  #pingedAt = performance.now();
  #unanswered = 0;
  /** The payload of the peer's newest ping, until it is answered. */
  #unansweredPing: Buffer | undefined;
  /** The number of bytes that had arrived at the last check. */
  #heard: number;

  /**
   * @param socket the socket of the WebSocket
   * @param arriving counts large messages while they arrive
   */
  constructor(webSocket: WebSocket, socket: Socket, answer: Answer, arriving: ArrivingBytes) {
    super(socket, socket);
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#answer = answer;
    this.#heard = socket.bytesRead;
    this.#arriving = new ArrivingMessage(webSocket, arriving);
  }

  override start(owner: ConnectionOwner): void {
    super.start(owner);
    const webSocket = this.#webSocket;
    const socket = this.#socket;
    const incoming = new IncomingMessages(webSocket, this, this.#answer);
    this.#incoming = incoming;
    incoming.start();
    this.#arriving.start(socket);
    socket.on('drain', () => incoming.go());
    webSocket.on('ping', (payload) => (this.#unansweredPing = payload));
    // Called after the listener of `ws`, which has emitted everything in the piece by then.
    socket.on('data', (piece: Buffer) => {
      this.#pong();
      incoming.wasRead(piece.length);
    });
  }

  /** Writes bytes. Drops them after a close frame, since nothing may follow it (RFC 6455 §5.5.1). */
  override write(bytes: Uint8Array): void {
    if (!this.#ending && this.#isOpen) super.write(bytes);
  }

  /** Writes the last bytes after the answers to earlier messages, and then starts the closing handshake. */
  override end(bytes: Uint8Array, reason: ByeReason): void {
    void this.#incoming?.stop().then(() => {
      this.#ending = true;
      if (!this.#isOpen) return;
      // The time limit of the closing handshake begins when the bytes are sent, so that a slow reader gets them.
      this.#socket.write(bytes, () => this.#webSocket.close(CLOSE_CODES[reason], reason));
    });
  }

  /**
   * Pings the peer if it is due, and cuts the connection if the peer no longer answers. Anything that it sends counts
   * as an answer.
   *
   * Does not ping a peer while bytes wait for it, or while its socket is not read, since it could not answer.
   *
   * @param now on the clock of `performance.now()`
   * @param interval milliseconds between two pings
   * @returns whether it was pinged or cut
   */
  ping(now: number, interval: number): boolean {
    this.#arriving.check(now);
    if (this.#heard !== this.#socket.bytesRead) {
      this.#heard = this.#socket.bytesRead;
      this.#unanswered = 0;
    }
    if (now - this.#pingedAt < interval || !this.idle || this.#webSocket.isPaused) return false;
    if (this.#unanswered === MAX_UNANSWERED) {
      this.cutStalled();
      return true;
    }
    this.#pingedAt = now;
    this.#unanswered++;
    this.#webSocket.ping();
    return true;
  }

  /** Answers only the newest of several pings, as RFC 6455 §5.5.3 allows, since ten thousand fit in one read. */
  #pong(): void {
    if (this.#unansweredPing === undefined) return;
    if (!this.#ending && this.#isOpen) this.#webSocket.pong(this.#unansweredPing);
    this.#unansweredPing = undefined;
  }

  get #isOpen(): boolean {
    return this.#webSocket.readyState === this.#webSocket.OPEN;
  }
}
