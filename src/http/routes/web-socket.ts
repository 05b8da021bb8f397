import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ArrivingBytes } from '../../wire/arriving-bytes.ts';
import type { Identity } from '../../auth/identity.ts';
import type { ClientStream, Transport } from '../../stream/client-stream.ts';
import type { ByeReason, Unavailable } from '../../wire/server-events.ts';
import { webSocketFraming } from '../../ws/frame.ts';
import { acceptHandshake, type Upgrade, upgradeRequired, WEB_SOCKET_PATH } from '../../ws/handshake.ts';
import { restBetweenReads } from '../../ws/incoming-messages.ts';
import type { Pings } from '../../ws/pings.ts';
import { CLOSE_CODES, WebSocketConnection } from '../../ws/web-socket-connection.ts';
import { allowAt } from '../paths.ts';
import { methodNotAllowed, type ProblemParts } from '../problem.ts';
import type { Publisher } from '../../publish/publisher.ts';
import type { PublishRate } from '../../publish/publish-rate.ts';
import { SocketPublisher } from '../socket-publisher.ts';
import type { StreamExchange, StreamOpening } from '../stream-opening.ts';

/** The parts of the service that the route uses. */
export interface WebSocketParts {
  readonly pings: Pings;
  readonly publisher: Publisher;
  readonly arriving: ArrivingBytes;
  readonly rate: PublishRate;
  readonly now: () => number;
}

/**
 * Serves `GET /ws` with the query of `/stream`: the same stream on a WebSocket, on which its client can also publish.
 *
 * With a session cookie, `Origin` must name a page that may change something: a browser sends the cookie with a
 * handshake from any page, without asking anybody (cross-site WebSocket hijacking; RFC 6455 §10.2).
 *
 * A refusal is a status. A page cannot see the status, only that its connection failed (WHATWG WebSockets §3, "fail the
 * WebSocket connection"), so a temporary refusal is sent to a page as `bye`. A request with an `Origin` is from a page.
 *
 * @returns the handler, for the listener in front of Express
 * @throws {Refusal} from the handler, if the request is not a handshake, malformed, not allowed, or not served now
 */
export function webSocket(
  parts: WebSocketParts,
  opening: StreamOpening,
  problems: ProblemParts,
): (request: IncomingMessage, response: ServerResponse, upgrade: Upgrade | undefined) => Promise<void> {
  const refuseMethod = methodNotAllowed(allowAt(WEB_SOCKET_PATH));
  return async (request, response, upgrade) => {
    if (request.method !== 'GET') {
      refuseMethod(request, response);
      return;
    }
    if (upgrade === undefined) throw upgradeRequired();
    await opening.serve(new WebSocketExchange(parts, problems, request, upgrade));
  };
}

/** A handshake for a WebSocket. */
class WebSocketExchange implements StreamExchange {
  readonly request: IncomingMessage;
  readonly framing = webSocketFraming;
  readonly status = 101;
  readonly publishes = true;
  readonly #parts: WebSocketParts;
  readonly #problems: ProblemParts;
  readonly #upgrade: Upgrade;

  constructor(parts: WebSocketParts, problems: ProblemParts, request: IncomingMessage, upgrade: Upgrade) {
    this.request = request;
    this.#parts = parts;
    this.#problems = problems;
    this.#upgrade = upgrade;
  }

  get isGone(): boolean {
    const { socket } = this.#upgrade;
    return !socket.readable || !socket.writable;
  }

  /** Browsers name the page in each handshake, and no script can prevent that (RFC 6455 §10.2). */
  get takesBye(): boolean {
    return this.request.headers.origin !== undefined && !this.isGone;
  }

  sendBye(bytes: Buffer, reason: ByeReason | Unavailable): void {
    const { socket } = this.#upgrade;
    const opened = acceptHandshake(this.request, this.#upgrade);
    socket.write(bytes);
    opened.close(CLOSE_CODES[reason], reason);
    restBetweenReads(opened, socket);
  }

  answer(identity: Identity, begin: (open: Transport['open']) => ClientStream): void {
    const { pings, arriving } = this.#parts;
    const { socket } = this.#upgrade;
    const expire = (): void => stream.expire();
    const publisher = new SocketPublisher(this.#parts, this.#problems, identity, this.request, expire);
    const stream = begin(() => {
      const opened = acceptHandshake(this.request, this.#upgrade);
      const connection = new WebSocketConnection(
        opened,
        socket,
        (message) => publisher.answer(message),
        arriving,
      );
      pings.add(connection);
      socket.once('close', () => pings.remove(connection));
      return connection;
    });
  }
}
