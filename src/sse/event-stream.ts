import type { ServerResponse } from 'node:http';
import type { Connection } from '../wire/connection.ts';
import { SocketConnection } from '../wire/socket-connection.ts';

/**
 * Without `charset`: an event stream is always UTF-8 (WHATWG HTML §9.2.5), and the README of fetch-event-source tells
 * its users to accept exactly this type.
 */
const TYPE = 'text/event-stream';

/** Python's requests, and libraries built on it, decode text without a charset as ISO 8859-1. */
const NEEDS_CHARSET = 'python-requests/';

/** Passed to `writeHead` together: headers that `setHeader` is given stay in memory as long as the stream is open. */
const HEADERS = {
  'Content-Type': TYPE,
  'Cache-Control': 'no-store, no-transform',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  Vary: 'Origin',
  // nginx, and proxies built on it, would buffer the stream otherwise.
  'X-Accel-Buffering': 'no',
} as const;

const HEADERS_WITH_CHARSET = { ...HEADERS, 'Content-Type': `${TYPE}; charset=utf-8` };

/**
 * Sends the headers of a `text/event-stream`, and takes over the socket of the response.
 *
 * The response ends when the connection closes (RFC 9112 §6.3), so every client gets the same bytes: a commit's buffer
 * goes to each socket as it is, without a chunk header of its own.
 *
 * @throws {TypeError} if the response has no socket: its request is pipelined after one that is not answered yet
 */
export function openEventStream(response: ServerResponse): Connection {
  const { socket } = response;
  if (socket === null) throw new TypeError('the response has no socket yet');
  sendHeaders(response);
  // Timed by the response: node:http destroys a socket that times out without a listener there.
  return new SocketConnection(socket, response);
}

/** Sends the headers of a stream that ends when its connection closes. */
export function sendHeaders(response: ServerResponse): void {
  response.useChunkedEncodingByDefault = false;
  response.shouldKeepAlive = false;
  const needsCharset = response.req.headers['user-agent']?.startsWith(NEEDS_CHARSET) === true;
  response.writeHead(200, needsCharset ? HEADERS_WITH_CHARSET : HEADERS);
  response.flushHeaders();
}
