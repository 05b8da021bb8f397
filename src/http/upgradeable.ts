import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { isHandshake } from '../ws/handshake.ts';
import type { ArrivingHeaders } from './arriving-headers.ts';
import type { HttpConnection } from './http-connection.ts';

/** The limit on the bytes of trailers. A connection with longer ones is closed after its answers. */
const MAX_KEPT_TRAILER_BYTES = 16 * 1024;

/**
 * Returns the class of requests for node:http. Its `upgrade` decides which connections node:http hands over: those with a
 * handshake that can be accepted, and those whose next request is not accepted, so that further input is not even parsed. By
 * default, node:http hands over each request with the header `Upgrade`, and the body with it. Other protocols that a client
 * would rather speak (`Upgrade: h2c` of Java and of curl --http2) may be ignored (RFC 9110 §7.8).
 */
export function upgradeable(
  connectionOf: (socket: Socket) => HttpConnection,
  headers: ArrivingHeaders,
): typeof IncomingMessage {
  return class extends IncomingMessage {
    #leaves: boolean | undefined;

    get upgrade(): boolean {
      if (this.#leaves === undefined) {
        const connection = connectionOf(this.socket);
        // After CONNECT, the bytes are not HTTP.
        this.#leaves =
          this.method === 'CONNECT' || !connection.isOpen || canAcceptHandshake(this, connection);
      }
      return this.#leaves;
    }

    /** Ignores the value that node:http sets: the header alone does not decide. */
    set upgrade(_hasHeader: unknown) {
      // Nothing is kept.
    }

    /** Takes a piece of the body, or `null` at its end, from the parser. */
    override push(piece: Buffer | null): boolean {
      if (piece === null) {
        headers.requestEnded(this.socket);
        // Trailers would be kept until the next request.
        if (this.rawTrailers.join('').length > MAX_KEPT_TRAILER_BYTES) connectionOf(this.socket).refuse('');
      } else {
        if (this.headers['transfer-encoding'] !== undefined) headers.chunkArrived(this.socket);
        connectionOf(this.socket).pieceArrived(this, piece.length);
      }
      return super.push(piece);
    }
  };
}

/** Returns whether a request is a handshake that can be accepted: every request before it is answered. */
export function canAcceptHandshake(request: IncomingMessage, connection: HttpConnection): boolean {
  return connection.isFree && connection.isOpen && isHandshake(request);
}
