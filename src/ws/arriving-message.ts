import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Arriving, ArrivingBytes } from '../arriving-bytes.ts';

/** A message has as long to arrive as a request. */
const MAX_MILLISECONDS = 30_000;

/** What `ws` keeps for each piece in which a frame comes, beside its bytes. */
const BYTES_OF_PIECE = 512;

/** A control frame of a client beside its payload: two bytes, and the mask (RFC 6455 §5.2). */
const CONTROL_HEADER_BYTES = 6;

/** Policy Violation, and Try Again Later (RFC 6455 §7.4; the codes are in IANA's registry). */
const TOO_SLOW = 1008;
const TRY_AGAIN_LATER = 1013;

/**
 * The message that a client has begun to send on its socket and has not sent whole: `ws` keeps what there is of it. It is
 * counted with all else that is arriving, and has its time.
 */
export class ArrivingMessage implements Arriving {
  readonly #webSocket: WebSocket;
  readonly #arriving: ArrivingBytes;
  #bytes = 0;
  #pieces = 0;
  /** When its first bytes came, on the clock of `performance.now()`. */
  #since = 0;
  /** Whether the piece that is being read ends a message. */
  #hasEnded = false;

  /** @param socket that of the web socket, which `ws` reads already */
  constructor(webSocket: WebSocket, socket: Socket, arriving: ArrivingBytes) {
    this.#webSocket = webSocket;
    this.#arriving = arriving;
    webSocket.on('message', () => (this.#hasEnded = true));
    // These may stand between its fragments.
    for (const event of ['ping', 'pong'] as const) {
      webSocket.on(event, (payload) => (this.#bytes -= CONTROL_HEADER_BYTES + payload.length));
    }
    // Called behind the listener of `ws`, which has emitted all that is in the piece by then.
    socket.on('data', (piece: Buffer) => this.#take(piece.length));
    socket.once('close', () => arriving.delete(this));
  }

  refuse(): void {
    this.#webSocket.close(TRY_AGAIN_LATER, 'too many large messages are arriving at once');
    this.#webSocket.terminate();
  }

  /** Ends the socket if its message takes too long. @param now on the clock of `performance.now()` */
  check(now: number): void {
    // One that is not being read cannot arrive.
    if (this.#bytes <= 0 || this.#webSocket.isPaused) this.#since = now;
    else if (now - this.#since > MAX_MILLISECONDS) {
      this.#webSocket.close(TOO_SLOW, 'a message took more than 30 seconds');
    }
  }

  #take(bytes: number): void {
    if (this.#bytes <= 0) this.#since = performance.now();
    if (this.#hasEnded) {
      // Where in the piece it ended is not known. What stands behind it is less than a piece, and is not counted.
      this.#hasEnded = false;
      this.#bytes = 0;
      this.#pieces = 0;
      this.#arriving.delete(this);
      return;
    }
    // A control frame whose beginning was not counted takes away more than it brought.
    this.#bytes = Math.max(0, this.#bytes + bytes);
    if (this.#bytes === 0) return;
    this.#pieces++;
    this.#arriving.set(this, this.#bytes + this.#pieces * BYTES_OF_PIECE);
  }
}
