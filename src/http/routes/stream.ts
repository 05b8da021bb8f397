import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Identity } from '../../auth/identity.ts';
import { openEventStream, sendHeaders } from '../../sse/event-stream.ts';
import { sseFraming } from '../../sse/frame.ts';
import type { ClientStream, Transport } from '../../stream/client-stream.ts';
import { allowAt } from '../paths.ts';
import { methodNotAllowed } from '../problem.ts';
import type { StreamExchange, StreamOpening } from '../stream-opening.ts';

/**
 * Serves `GET /stream?recipient=A[&recipient=B…][&lastEventId=CURSOR | &last=N][&presence=C…]`: an event stream of these
 * inboxes; with a token and no recipient, of its `sub`. It begins after `Last-Event-ID`, else after `lastEventId`, else
 * with the newest `last` messages, else now.
 *
 * A temporary refusal is sent as `bye` if the client reads event streams, because EventSource gives up permanently on
 * any status but 200 (WHATWG HTML §9.2.3). Other clients get 503, or 401 for an invalid session. An invalid bearer token
 * is 401 for all clients: they would come back with the same one. `HEAD` gets the headers, and opens nothing.
 *
 * @returns the handler, for the listener in front of Express: an open stream costs a third less without it
 * @throws {Refusal} from the handler, if the request is malformed, not allowed, or cannot be served now
 */
export function stream(
  opening: StreamOpening,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const refuseMethod = methodNotAllowed(allowAt('/stream'));
  return async (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      refuseMethod(request, response);
      return;
    }
    // Requests after this one would never be answered, so none is read, not even while the token is checked.
    response.shouldKeepAlive = false;
    await opening.serve(new EventStreamExchange(request, response));
  };
}

/** A request for an event stream. */
class EventStreamExchange implements StreamExchange {
  readonly request: IncomingMessage;
  readonly framing = sseFraming;
  readonly status = 200;
  readonly publishes = false;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.#response = response;
  }

  get isGone(): boolean {
    return this.request.socket.destroyed;
  }

  get takesBye(): boolean {
    const { accept } = this.request.headers;
    return !this.#response.headersSent && accept?.toLowerCase().includes('text/event-stream') === true;
  }

  sendBye(bytes: Buffer): void {
    this.#end(bytes);
  }

  answer(_identity: Identity, begin: (open: Transport['open']) => ClientStream): void {
    if (this.#isHead) this.#end();
    else begin(() => openEventStream(this.#response));
  }

  get #isHead(): boolean {
    return this.request.method === 'HEAD';
  }

  /** Sends the headers of a stream, and all its bytes. `HEAD` gets only the headers. */
  #end(bytes?: Buffer): void {
    sendHeaders(this.#response);
    this.#response.end(this.#isHead ? undefined : bytes);
  }
}
