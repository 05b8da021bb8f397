import type { ServerResponse } from 'node:http';
import type { Connection } from '../wire/connection.ts';
import { SocketConnection } from '../wire/socket-connection.ts';

/**
 * The content type, without `charset`: an event stream is always UTF-8 (WHATWG HTML §9.2.5), and the README of
 * fetch-event-source tells its users to accept exactly this type.
 */
const TYPE = 'text/event-stream';

/**
 * The beginning of the user agent of Python's requests. It and libraries built on it decode text without a charset as
 * ISO 8859-1.
 */
const NEEDS_CHARSET = 'python-requests/';

/**
 * The headers, passed to `writeHead` together. Headers set by `setHeader` would stay in memory as long as the stream is
 * open.
 */
const HEADERS = {
  'Content-Type': TYPE,
  'Cache-Control': 'no-store, no-transform',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  Vary: 'Origin',
  // Without it, nginx and proxies built on it would buffer the stream.
  'X-Accel-Buffering': 'no',
} as const;

const HEADERS_WITH_CHARSET = { ...HEADERS, 'Content-Type': `${TYPE}; charset=utf-8` };

/**
 * Sends the headers of a `text/event-stream`, and takes over the socket of the response.
 *
 * The response ends when the connection closes (RFC 9112 §6.3), so every client gets the same bytes: a commit's buffer
 * goes to each socket unchanged, without a chunk header.
 *
 * @throws {TypeError} if the response has no socket, because its request is pipelined after an unanswered one
 */
export function openEventStream(response: ServerResponse): Connection {
  const { socket } = response;
  if (socket === null) throw new TypeError('the response has no socket yet');
  sendHeaders(response);
  // The response is the object to watch for timeouts: without a listener there, node:http destroys a socket that times
  // out.
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
