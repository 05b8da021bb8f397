import type { ServerResponse } from 'node:http';
import type { Connection, ConnectionOwner } from '../stream/connection.ts';
import { SocketConnection } from '../stream/socket-connection.ts';

/**
 * Without `charset`: an event stream is always UTF-8 (WHATWG HTML §9.2.5), and the README of fetch-event-source tells its
 * users to take nothing but exactly this type.
 */
const TYPE = 'text/event-stream';

/** Python's requests, and what is built on it, takes text without a charset for ISO 8859-1. */
const NEEDS_CHARSET = 'python-requests/';

/** All at once, since what `setHeader` is given stays in memory as long as the stream is open. */
const HEADERS = {
  'Content-Type': TYPE,
  'Cache-Control': 'no-store, no-transform',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  Vary: 'Origin',
  // nginx, and what is built on it, would keep the stream to itself otherwise.
  'X-Accel-Buffering': 'no',
} as const;

const HEADERS_WITH_CHARSET = { ...HEADERS, 'Content-Type': `${TYPE}; charset=utf-8` };

/**
 * Sends the headers of a `text/event-stream`, and takes over the socket of the response.
 *
 * The response is ended by closing the connection (RFC 9112 §6.3), so that what is written are the same bytes for every
 * client: a commit's buffer goes to each socket as it is, without a chunk header of its own.
 *
 * @throws {TypeError} where the response has no socket: a request pipelined behind another that is not answered yet
 */
export function openEventStream(response: ServerResponse, owner: ConnectionOwner): Connection {
  const { socket } = response;
  if (socket === null) throw new TypeError('the response has no socket yet');
  sendHeaders(response);
  // Timed by the response: node:http destroys a socket whose timeout nobody there takes.
  return new SocketConnection(socket, owner, response);
}

/** Sends the headers of a stream that is ended by closing the connection. */
export function sendHeaders(response: ServerResponse): void {
  response.useChunkedEncodingByDefault = false;
  response.shouldKeepAlive = false;
  const needsCharset = response.req.headers['user-agent']?.startsWith(NEEDS_CHARSET) === true;
  response.writeHead(200, needsCharset ? HEADERS_WITH_CHARSET : HEADERS);
  response.flushHeaders();
}
