import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { Refusal } from '../errors.ts';

/** The path of the only endpoint that speaks WebSocket. */
export const WEB_SOCKET_PATH = '/ws';

/** The maximum size of a client's message: the same as for the body of a request. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** The time in which the peer must answer a closing handshake (RFC 6455 §7.1.2) before the connection is closed. */
const CLOSE_MILLISECONDS = 2000;

/** The only version of the protocol (RFC 6455 §4.1). */
const VERSION = '13';

/** The connection of a request to upgrade from HTTP. */
export interface Upgrade {
  readonly socket: Socket;
  /** Bytes that arrived after the request. */
  readonly head: Buffer;
}

const TARGET = new RegExp(`^(https?://[^/?]*)?${WEB_SOCKET_PATH}(\\?|$)`, 'i');

/** Returns whether a request is a handshake for the WebSocket path (RFC 6455 §4.2.1). A request with a body is not. */
export function isHandshake({ method, url = '', httpVersion, headers }: IncomingMessage): boolean {
  return (
    method === 'GET' &&
    TARGET.test(url) &&
    httpVersion === '1.1' &&
    headers['transfer-encoding'] === undefined &&
    Number(headers['content-length'] ?? 0) === 0 &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    /(^|,)\s*upgrade\s*(,|$)/i.test(headers.connection ?? '')
  );
}

/** Returns the refusal (426) for a request that is not a handshake, or asks for another version. */
export function upgradeRequired(): Refusal {
  return new Refusal(
    'upgrade-required',
    `This path speaks WebSocket, version ${VERSION} (RFC 6455): connect with a WebSocket client. ` +
      'The same stream is at /stream as Server-Sent Events.',
    { headers: { Connection: 'Upgrade, close', Upgrade: 'websocket', 'Sec-WebSocket-Version': VERSION } },
  );
}

/** The maximum number of pieces of a frame, and of fragments of a message: enough for 4 MiB in the shortest packets. */
const MAX_PIECES = 16 * 1024;

/** Options missing from the types. */
interface NewOptions {
  readonly closeTimeout: number;
  readonly maxBufferedChunks: number;
  readonly maxFragments: number;
}

const options: ServerOptions & NewOptions = {
  noServer: true,
  clientTracking: false,
  // WebSocketConnection sends the pongs, one for several pings.
  autoPong: false,
  // WebSocketConnection writes frames to the socket itself: `ws` would hold back its own while it compresses.
  perMessageDeflate: false,
  maxPayload: MAX_MESSAGE_BYTES,
  maxBufferedChunks: MAX_PIECES,
  maxFragments: MAX_PIECES,
  // There are no subprotocols, so none is selected. A client that insists on one closes the connection (RFC 6455 §4.1).
  handleProtocols: () => false,
  closeTimeout: CLOSE_MILLISECONDS,
};
const server = new WebSocketServer(options);

// `handleUpgrade` emits this before it has written anything, and passes on the error thrown here.
server.on('wsClientError', ({ message }) => {
  throw new Refusal('malformed', `This is not a valid WebSocket handshake: ${message}.`);
});

/**
 * Answers a handshake with 101. From then on the connection speaks WebSocket.
 *
 * @throws {Refusal} 400 or 426 if it is not valid (RFC 6455 §4.2.1). Then nothing was written
 */
export function acceptHandshake(request: IncomingMessage, { socket, head }: Upgrade): WebSocket {
  if (request.headers['sec-websocket-version'] !== VERSION) throw upgradeRequired();
  let webSocket: WebSocket | undefined;
  server.handleUpgrade(request, socket, head, (opened) => (webSocket = opened));
  if (webSocket === undefined) throw new Error('the socket of a handshake is gone');
  // The peer broke the protocol. `ws` reports it in its close frame, and there is nothing to log.
  webSocket.on('error', () => undefined);
  return webSocket;
}
