import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What an event stream tells its owner. */
export interface EventStreamEvents {
  /** What was written is out: there is room again. */
  onDrain(): void;
  /** The connection is gone, whoever ended it. @param stalled whether it was cut because it took nothing */
  onClose(stalled: boolean): void;
}

/** At most this much waits in memory for one connection; what is more stays in the log. */
const BUFFER_BYTES = 256 * 1024;

/** A client that takes nothing of what waits for it for so long is cut. */
const STALLED_MILLISECONDS = 60_000;

const HEADERS = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-cache, no-transform',
  // nginx, and what is built on it, would keep the stream to itself otherwise.
  'X-Accel-Buffering': 'no',
} as const;

/**
 * One open `text/event-stream` connection: headers, bytes, and their limit.
 *
 * The response is ended by closing the connection (RFC 9112 §6.3), so that what is written are the same bytes for every
 * client: a commit's buffer goes to each socket as it is, without a chunk header of its own.
 */
export class EventStream {
  readonly #socket: Socket;
  #lastWrite = 0;
  #stalled = false;

  /** The moment of the last write, on the clock of `performance.now()`. */
  get lastWrite(): number {
    return this.#lastWrite;
  }

  /** Whether all that was written is out. */
  get idle(): boolean {
    return this.#socket.writableLength === 0;
  }

  /** How many bytes wait in memory. */
  get buffered(): number {
    return this.#socket.writableLength;
  }

  /** How many bytes fit under the limit now. */
  get room(): number {
    return BUFFER_BYTES - this.#socket.writableLength;
  }

  /**
   * Sends the headers and takes over the socket of the response.
   *
   * @throws {TypeError} where the response has no socket: a request pipelined behind another that is not answered yet
   */
  constructor(response: ServerResponse, events: EventStreamEvents) {
    const { socket } = response;
    if (socket === null) throw new TypeError('the response has no socket yet');
    sendHeaders(response);
    this.#socket = socket;
    socket.on('drain', () => events.onDrain());
    socket.once('close', () => events.onClose(this.#stalled));
    // Also emitted for a connection that has nothing to say: only a queue that does not move counts. Listened for on
    // the response, since node:http destroys a socket whose timeout nobody there takes.
    response.setTimeout(STALLED_MILLISECONDS, () => {
      if (socket.writableLength === 0) return;
      this.#stalled = true;
      socket.destroy();
    });
  }

  /** Takes bytes, without a look at the room. */
  write(bytes: string | Uint8Array): void {
    this.#lastWrite = performance.now();
    this.#socket.write(bytes);
  }

  /** Sends last bytes, and closes when they are out. */
  end(bytes: string): void {
    this.#socket.end(bytes);
    // Not only half: a client that keeps its side open would keep the descriptor, counted by nobody.
    this.#socket.destroySoon();
  }
}

/** Sends the headers of a stream that is ended by closing the connection. */
export function sendHeaders(response: ServerResponse): void {
  response.useChunkedEncodingByDefault = false;
  response.shouldKeepAlive = false;
  response.writeHead(200, HEADERS);
  response.flushHeaders();
}
