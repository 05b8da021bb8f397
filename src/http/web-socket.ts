import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ArrivingBytes } from '../arriving-bytes.ts';
import type { Identity } from '../auth/identity.ts';
import type { StreamParts } from '../stream/device-stream.ts';
import { type ByeReason, RETRY_REFUSED, spreadRetry, type Unavailable } from '../stream/server-events.ts';
import { webSocketFraming } from '../ws/frame.ts';
import { shakeHands, type Upgrade, upgradeRequired } from '../ws/handshake.ts';
import { restBetweenReads } from '../ws/incoming.ts';
import type { Pings } from '../ws/pings.ts';
import { CLOSE_CODES, WebSocketConnection } from '../ws/web-socket-connection.ts';
import { type Authenticator, SessionRefused } from './authenticate.ts';
import { methodNotAllowed, noteInBand, type ProblemParts, willPass } from './problem.ts';
import type { Publisher } from './publisher.ts';
import type { PublishRate } from './publish-rate.ts';
import { SocketPublisher } from './socket-publisher.ts';
import { notNow, StreamRequest } from './stream-request.ts';

/** What the route works with. */
export interface WebSocketParts extends StreamParts {
  readonly pings: Pings;
  readonly publisher: Publisher;
  readonly arriving: ArrivingBytes;
  readonly rate: PublishRate;
  readonly now: () => number;
}

/**
 * `GET /ws` with the query of `/stream`: the same stream as messages of a WebSocket, on which its client may publish too.
 *
 * With a session cookie the `Origin` has to be one that may change something: a browser sends the cookie with the
 * handshake of whichever page, and asks nobody (cross-site WebSocket hijacking; RFC 6455 §10.2).
 *
 * A refusal is a status. A page sees none, only that its connection failed (WHATWG WebSockets §3, "fail the WebSocket
 * connection"), so what will pass is said to a page in band: `bye`, and the end. A page is who has an `Origin`.
 *
 * @returns the handler, for the listener in front of Express
 * @throws {Refusal} from the handler, where the request is no handshake, malformed, not allowed, or not served now
 */
export function webSocket(
  parts: WebSocketParts,
  authenticator: Authenticator,
  problems: ProblemParts,
): (request: IncomingMessage, response: ServerResponse, upgrade: Upgrade | undefined) => Promise<void> {
  const refuseMethod = methodNotAllowed('GET');
  const { requests, refusals } = problems;

  /** Returns who asks; for a page whose session does not count, that. */
  const identify = async (request: IncomingMessage): Promise<Identity | SessionRefused> => {
    try {
      return await authenticator.identify(request, true);
    } catch (error) {
      if (error instanceof SessionRefused && isPage(request)) return error;
      throw error;
    }
  };

  const serve = async (request: IncomingMessage, upgrade: Upgrade): Promise<void> => {
    const identity = await identify(request);
    if (isGone(upgrade)) {
      upgrade.socket.destroy();
      return;
    }
    if (identity instanceof SessionRefused) {
      sendBye(request, upgrade, 'token-expired', undefined);
      requests.answered(request, 101);
      refusals.add('unauthenticated', 101);
      return;
    }
    const asked = new StreamRequest(request, identity);
    const away = asked.sentAway(parts);
    if (away === undefined) {
      open(parts, problems, identity, asked, request, upgrade);
      return;
    }
    if (!isPage(request)) throw notNow(away.reason);
    sendBye(request, upgrade, away.reason, away.cursor);
    requests.answered(request, 101);
    refusals.add('unavailable', 101);
  };

  return async (request, response, upgrade) => {
    if (request.method !== 'GET') {
      refuseMethod(request, response);
      return;
    }
    if (upgrade === undefined) throw upgradeRequired();
    try {
      await serve(request, upgrade);
    } catch (error) {
      if (!willPass(error) || !isPage(request) || isGone(upgrade)) throw error;
      sendBye(request, upgrade, 'unavailable', undefined);
      noteInBand(request, error, 101, problems);
    }
  };
}

function open(
  parts: WebSocketParts,
  problems: ProblemParts,
  identity: Identity,
  asked: StreamRequest,
  request: IncomingMessage,
  upgrade: Upgrade,
): void {
  const publisher = new SocketPublisher(parts, problems, identity, request, () => stream.expire());
  const stream = asked.open(parts, problems.requests, {
    framing: webSocketFraming,
    open: (owner) => {
      const connection = new WebSocketConnection(
        shakeHands(request, upgrade),
        upgrade.socket,
        owner,
        (message) => publisher.answer(message),
        parts.arriving,
      );
      parts.pings.add(connection);
      upgrade.socket.once('close', () => parts.pings.remove(connection));
      return connection;
    },
  });
}

/** Whether the client has gone, as it may have while its token was checked. */
function isGone({ socket }: Upgrade): boolean {
  return !socket.readable || !socket.writable;
}

/** Browsers name the page in each handshake, and no script can keep them from it (RFC 6455 §10.2). */
function isPage({ headers: { origin } }: IncomingMessage): boolean {
  return origin !== undefined;
}

/** A socket that only says why there is no stream, and when to come back. */
function sendBye(
  request: IncomingMessage,
  upgrade: Upgrade,
  reason: ByeReason | Unavailable,
  cursor: string | undefined,
): void {
  const opened = shakeHands(request, upgrade);
  const retry = spreadRetry(RETRY_REFUSED);
  upgrade.socket.write(
    webSocketFraming.encode([webSocketFraming.event('bye', { reason }, { cursor, retry })]),
  );
  opened.close(CLOSE_CODES[reason], reason);
  restBetweenReads(opened, upgrade.socket);
}
