import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Arriving, ArrivingBytes } from '../wire/arriving-bytes.ts';

/** The time in which a message must arrive: the same as for a request. */
const MAX_MILLISECONDS = 30_000;

/** The memory that `ws` needs for each piece of a frame, besides its bytes. */
const BYTES_OF_PIECE = 512;

/** The length of a client's control frame without its payload: two bytes, and the mask (RFC 6455 §5.2). */
const CONTROL_HEADER_BYTES = 6;

/** The close codes Policy Violation and Try Again Later (RFC 6455 §7.4; the codes are in IANA's registry). */
const TOO_SLOW = 1008;
const TRY_AGAIN_LATER = 1013;

/**
 * The message that a client is sending on its WebSocket. `ws` keeps the part that has arrived. It counts towards the
 * bound on everything that is arriving, and has a time limit.
 */
export class ArrivingMessage implements Arriving {
  readonly #webSocket: WebSocket;
  readonly #arriving: ArrivingBytes;
  #bytes = 0;
  #pieces = 0;
  /** The `performance.now()` at which its first bytes arrived. */
  #since = 0;
  /** Whether a message ended in the piece being read. */
  #hasEnded = false;

  constructor(webSocket: WebSocket, arriving: ArrivingBytes) {
    this.#webSocket = webSocket;
    this.#arriving = arriving;
  }

  /** Starts counting. @param socket the socket of the WebSocket, which `ws` already reads */
  start(socket: Socket): void {
    this.#webSocket.on('message', () => (this.#hasEnded = true));
    // Control frames may come between the fragments of a message.
    for (const event of ['ping', 'pong'] as const) {
      this.#webSocket.on(event, (payload) => (this.#bytes -= CONTROL_HEADER_BYTES + payload.length));
    }
    // Called after the listener of `ws`, which by then has emitted everything in the piece.
    socket.on('data', (piece: Buffer) => this.#count(piece.length));
    socket.once('close', () => this.#arriving.delete(this));
  }

  refuse(): void {
    this.#webSocket.close(TRY_AGAIN_LATER, 'too many large messages are arriving at once');
    this.#webSocket.terminate();
  }

  /** Closes the socket if its message takes too long. @param now on the clock of `performance.now()` */
  check(now: number): void {
    // A message cannot arrive while the socket is not read.
    if (this.#bytes <= 0 || this.#webSocket.isPaused) this.#since = now;
    else if (now - this.#since > MAX_MILLISECONDS) {
      this.#webSocket.close(TOO_SLOW, 'a message took more than 30 seconds');
    }
  }

  #count(bytes: number): void {
    if (this.#bytes <= 0) this.#since = performance.now();
    if (this.#hasEnded) {
      // It is unknown at which byte of the piece it ended. The rest is less than a piece, and is not counted.
      this.#hasEnded = false;
      this.#bytes = 0;
      this.#pieces = 0;
      this.#arriving.delete(this);
      return;
    }
    // The difference can be negative: the beginning of a control frame may not have been counted, but all of it was
    // subtracted.
    this.#bytes = Math.max(0, this.#bytes + bytes);
    if (this.#bytes === 0) return;
    this.#pieces++;
    this.#arriving.set(this, this.#bytes + this.#pieces * BYTES_OF_PIECE);
  }
}
