import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { Refusal } from '../errors.ts';

/** The path of the only endpoint that speaks WebSocket. */
export const WEB_SOCKET_PATH = '/ws';

/** A message of a client is at most as long as the body of a request. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** A closing handshake (RFC 6455 §7.1.2) that the peer does not end in this time is ended without it. */
const CLOSE_MILLISECONDS = 2000;

/** The one version there is (RFC 6455 §4.1). */
const VERSION = '13';

/** The connection of a request that asks to leave HTTP. */
export interface Upgrade {
  readonly socket: Socket;
  /** What came behind the request already. */
  readonly head: Buffer;
}

const TARGET = new RegExp(`^(https?://[^/?]*)?${WEB_SOCKET_PATH}(\\?|$)`, 'i');

/** Whether a request asks for a WebSocket, at the path that has them (RFC 6455 §4.2.1). One with a body does not. */
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

/** The refusal of a request that would have to be a handshake, or one of another version. */
export function upgradeRequired(): Refusal {
  return new Refusal(
    'upgrade-required',
    `This path speaks WebSocket, version ${VERSION} (RFC 6455): connect with a WebSocket client. ` +
      'The same stream is at /stream as Server-Sent Events.',
    { headers: { Connection: 'Upgrade, close', Upgrade: 'websocket', 'Sec-WebSocket-Version': VERSION } },
  );
}

/** Pieces in which one frame comes, and fragments of one message: enough for 4 MiB in the shortest packets. */
const MAX_PIECES = 16 * 1024;

/** What the types do not know yet. */
interface NewOptions {
  readonly closeTimeout: number;
  readonly maxBufferedChunks: number;
  readonly maxFragments: number;
}

const options: ServerOptions & NewOptions = {
  noServer: true,
  clientTracking: false,
  // WebSocketConnection does, and not one by one.
  autoPong: false,
  // WebSocketConnection writes whole frames beside those of `ws`, which would hold some back while it compresses.
  perMessageDeflate: false,
  maxPayload: MAX_MESSAGE_BYTES,
  maxBufferedChunks: MAX_PIECES,
  maxFragments: MAX_PIECES,
  // None is spoken here, so none is named; a client that insists on one closes (RFC 6455 §4.1).
  handleProtocols: () => false,
  closeTimeout: CLOSE_MILLISECONDS,
};
const server = new WebSocketServer(options);

// Emitted by `handleUpgrade` before it has written anything: what is thrown here comes out there.
server.on('wsClientError', ({ message }) => {
  throw new Refusal('malformed', `This is no handshake of a WebSocket: ${message}.`);
});

/**
 * Answers a handshake with 101: from here on the connection speaks WebSocket.
 *
 * @throws {Refusal} 400 or 426 where it is not one of RFC 6455 §4.2.1; nothing was written then
 */
export function shakeHands(request: IncomingMessage, { socket, head }: Upgrade): WebSocket {
  if (request.headers['sec-websocket-version'] !== VERSION) throw upgradeRequired();
  let webSocket: WebSocket | undefined;
  server.handleUpgrade(request, socket, head, (opened) => (webSocket = opened));
  if (webSocket === undefined) throw new Error('the socket of a handshake is gone');
  // A peer that breaks the protocol: `ws` says so in its close frame, and nobody here is to blame.
  webSocket.on('error', () => undefined);
  return webSocket;
}
