import type { Socket } from 'node:net';
import { type Arriving, ArrivingBytes } from './arriving-bytes.ts';

/** How often connections are looked at, and how many each time: a look takes less than a millisecond. */
const LOOK_MILLISECONDS = 50;
const LOOKED_AT = 2000;

/** What has come on a connection since its last request, or behind the last chunk of a body: trailers are headers, too. */
interface ArrivingHeader extends Arriving {
  /**
   * What `bytesRead` was at the end of the last request or chunk. `Infinity` while a body without chunks arrives, which is
   * counted elsewhere.
   */
  from: number;
}

/**
 * The memory of long headers that have not arrived whole, over all connections.
 *
 * node:http keeps what has come of a header inside its parser and says nothing of it, so the bytes that were read are
 * looked at from time to time. A connection on which a request is under way may have the beginning of another header.
 */
export class ArrivingHeaders {
  readonly #headers = new Map<Socket, ArrivingHeader>();
  readonly #bytes: ArrivingBytes;
  #next: Iterator<[Socket, ArrivingHeader], undefined> = this.#headers.entries();

  /** @param bytes where they are counted */
  constructor(bytes = new ArrivingBytes()) {
    this.#bytes = bytes;
  }

  /** Looks at connections from now on. */
  start(): void {
    setInterval(() => this.look(), LOOK_MILLISECONDS).unref();
  }

  /**
   * Adds a connection on which nothing has come yet.
   *
   * @param refuse called once if its header takes room that others need: it is to end the connection
   */
  add(socket: Socket, refuse: () => void): void {
    const end = (): void => {
      this.delete(socket);
      refuse();
    };
    this.#headers.set(socket, { from: 0, refuse: end });
  }

  /** Takes note that a header has arrived whole. Nothing is done for a connection that was taken out. */
  arrived(socket: Socket): void {
    const header = this.#headers.get(socket);
    if (header === undefined) return;
    header.from = Infinity;
    this.#bytes.delete(header);
  }

  /** Takes note that a chunk of a body has arrived. Nothing is done for a connection that was taken out. */
  chunkArrived(socket: Socket): void {
    const header = this.#headers.get(socket);
    if (header !== undefined) header.from = socket.bytesRead;
  }

  /** Takes note that a request has ended, with its trailers. Nothing is done for a connection that was taken out. */
  requestEnded(socket: Socket): void {
    const header = this.#headers.get(socket);
    if (header === undefined) return;
    header.from = socket.bytesRead;
    this.#bytes.delete(header);
  }

  /** Takes a connection out. Nothing is done if it is not there. */
  delete(socket: Socket): void {
    const header = this.#headers.get(socket);
    if (header === undefined) return;
    this.#headers.delete(socket);
    this.#bytes.delete(header);
  }

  /** Looks at the next connections; after the last one the first is next. */
  look(): void {
    for (let left = Math.min(LOOKED_AT, this.#headers.size); left > 0; left--) {
      const [socket, header] = this.#following() ?? [];
      if (socket === undefined || header === undefined) return;
      const bytes = socket.bytesRead - header.from;
      if (bytes > 0) this.#bytes.set(header, bytes);
    }
  }

  /** The connection to look at next; `undefined` if there is none. */
  #following(): [Socket, ArrivingHeader] | undefined {
    const { value } = this.#next.next();
    if (value !== undefined) return value;
    this.#next = this.#headers.entries();
    return this.#next.next().value;
  }
}
