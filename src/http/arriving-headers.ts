import type { Socket } from 'node:net';
import { type Arriving, ArrivingBytes } from '../wire/arriving-bytes.ts';

/** The time between two checks, and the number of connections in each: a check takes less than a millisecond. */
const LOOK_MILLISECONDS = 50;
const LOOKED_AT = 2000;

/** Bytes since a connection's last request, or since the last chunk of a body: trailers are headers, too. */
interface ArrivingHeader extends Arriving {
  /**
   * The value of `bytesRead` at the end of the last request or chunk. `Infinity` while a body without chunks arrives,
   * which is counted elsewhere.
   */
  from: number;
}

/**
 * The memory of long headers that have not arrived completely, over all connections.
 *
 * node:http keeps an incomplete header inside its parser and does not report it, so the bytes read on each connection
 * are checked from time to time. A connection with a request under way may have the beginning of another header.
 */
export class ArrivingHeaders {
  readonly #headers = new Map<Socket, ArrivingHeader>();
  readonly #bytes: ArrivingBytes;
  #timer: NodeJS.Timeout | undefined;
  #next: Iterator<[Socket, ArrivingHeader], undefined> = this.#headers.entries();

  /** @param bytes counts the bytes of the headers */
  constructor(bytes = new ArrivingBytes()) {
    this.#bytes = bytes;
  }

  /** Starts to check connections. */
  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_MILLISECONDS).unref();
  }

  /** Stops checking connections. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * Adds a connection on which nothing has arrived yet.
   *
   * @param refuse called once if its header takes room that others need; must end the connection
   */
  add(socket: Socket, refuse: () => void): void {
    const end = (): void => {
      this.delete(socket);
      refuse();
    };
    this.#headers.set(socket, { from: 0, refuse: end });
  }

  /** Notes that a header has arrived completely. Does nothing for a connection that was removed. */
  arrived(socket: Socket): void {
    const header = this.#headers.get(socket);
    if (header === undefined) return;
    header.from = Infinity;
    this.#bytes.delete(header);
  }

  /** Notes that a chunk of a body has arrived. Does nothing for a connection that was removed. */
  chunkArrived(socket: Socket): void {
    const header = this.#headers.get(socket);
    if (header !== undefined) header.from = socket.bytesRead;
  }

  /** Notes that a request has ended, with its trailers. Does nothing for a connection that was removed. */
  requestEnded(socket: Socket): void {
    const header = this.#headers.get(socket);
    if (header === undefined) return;
    header.from = socket.bytesRead;
    this.#bytes.delete(header);
  }

  /** Returns whether a part of another request has arrived. */
  isArriving(socket: Socket): boolean {
    return socket.bytesRead > (this.#headers.get(socket)?.from ?? Infinity);
  }

  /** Removes a connection. Does nothing if it is not there. */
  delete(socket: Socket): void {
    const header = this.#headers.get(socket);
    if (header === undefined) return;
    this.#headers.delete(socket);
    this.#bytes.delete(header);
  }

  /** Checks the next connections, and starts over after the last one. */
  look(): void {
    for (let left = Math.min(LOOKED_AT, this.#headers.size); left > 0; left--) {
      const [socket, header] = this.#following() ?? [];
      if (socket === undefined || header === undefined) return;
      const bytes = socket.bytesRead - header.from;
      if (bytes > 0) this.#bytes.set(header, bytes);
    }
  }

  /** Returns the connection to check next; `undefined` if there is none. */
  #following(): [Socket, ArrivingHeader] | undefined {
    const { value } = this.#next.next();
    if (value !== undefined) return value;
    this.#next = this.#headers.entries();
    return this.#next.next().value;
  }
}
