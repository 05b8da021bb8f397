import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { isHandshake } from '../ws/handshake.ts';
import type { ArrivingHeaders } from './arriving-headers.ts';
import type { HttpConnection } from './http-connection.ts';

/** Bytes of trailers; a connection with longer ones is closed after its answers. */
const MAX_KEPT_TRAILER_BYTES = 16 * 1024;

/**
 * Returns the class of requests for node:http, which decides by `upgrade` which connections it hands over: those of handshakes
 * that can be taken, and those whose next request is not taken, so that it does not even parse further input. By itself
 * it would hand over each request with the header `Upgrade`, and with it the body. Other protocols that a client would
 * rather speak (`Upgrade: h2c` of Java and of curl --http2) may be ignored (RFC 9110 §7.8).
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
        // After CONNECT there is no HTTP.
        this.#leaves =
          this.method === 'CONNECT' || !connection.isOpen || canAcceptHandshake(this, connection);
      }
      return this.#leaves;
    }

    /** Ignores what node:http sets: the header alone does not decide. */
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

/** Returns whether a request is a handshake that can be taken: every request before it is answered. */
export function canAcceptHandshake(request: IncomingMessage, connection: HttpConnection): boolean {
  return connection.isFree && connection.isOpen && isHandshake(request);
}
