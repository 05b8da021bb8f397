import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Identity } from '../auth/identity.ts';
import { openEventStream, sendHeaders } from '../sse/event-stream.ts';
import { sseFraming } from '../sse/frame.ts';
import type { StreamParts } from '../stream/device-stream.ts';
import { type ByeReason, RETRY_REFUSED, spreadRetry, type Unavailable } from '../stream/server-events.ts';
import { type Authenticator, SessionRefused } from './authenticate.ts';
import { methodNotAllowed, noteInBand, type ProblemParts, willPass } from './problem.ts';
import { notNow, StreamRequest } from './stream-request.ts';

/**
 * `GET /stream?recipient=A[&recipient=B…][&lastEventId=CURSOR | &last=N][&presence=C…]`: an event stream of these
 * inboxes; with a token, of its `sub` where none is given. It begins after `Last-Event-ID`, else after `lastEventId`,
 * else with the newest `last` messages, else now.
 *
 * What will pass is said in band if the client reads event streams, since EventSource gives up for good on any status but
 * 200 (WHATWG HTML §9.2.3); others get 503, or 401 for a session that does not count. A bearer token that does not is 401
 * for all: the client would come back with the same. `HEAD` gets the headers, and opens nothing.
 *
 * @returns the handler, for the listener in front of Express: an open stream costs a third less without it
 * @throws {Refusal} from the handler, where the request is malformed, not allowed, or cannot be served now
 */
export function stream(
  parts: StreamParts,
  authenticator: Authenticator,
  problems: ProblemParts,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const refuseMethod = methodNotAllowed('GET, HEAD');
  return async (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      refuseMethod(request, response);
      return;
    }
    // What is sent behind it would never be answered, so it is not to be looked at either, while the token is checked.
    response.shouldKeepAlive = false;
    try {
      const identity = await identify(request, response, authenticator, problems);
      if (identity !== undefined && !request.socket.destroyed)
        open(parts, identity, problems, request, response);
    } catch (error) {
      if (!willPass(error) || response.headersSent || !readsEventStreams(request)) throw error;
      sendBye(request, response, 'unavailable', undefined);
      noteInBand(request, error, 200, problems);
    }
  };
}

/** Returns who asks; `undefined` if it was answered in band that the session does not count. */
async function identify(
  request: IncomingMessage,
  response: ServerResponse,
  authenticator: Authenticator,
  { refusals }: ProblemParts,
): Promise<Identity | undefined> {
  try {
    return await authenticator.identify(request);
  } catch (error) {
    if (!(error instanceof SessionRefused) || !readsEventStreams(request)) throw error;
    sendBye(request, response, 'token-expired', undefined);
    refusals.add('unauthenticated', 200);
    return undefined;
  }
}

function open(
  parts: StreamParts,
  identity: Identity,
  { requests, refusals }: ProblemParts,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const asked = new StreamRequest(request, identity);
  const away = asked.sentAway(parts);
  if (away !== undefined) {
    if (!readsEventStreams(request)) throw notNow(away.reason);
    sendBye(request, response, away.reason, away.cursor);
    refusals.add('unavailable', 200);
  } else if (request.method === 'HEAD') {
    sendHeaders(response);
    response.end();
  } else {
    asked.open(parts, requests, {
      framing: sseFraming,
      open: (owner) => openEventStream(response, owner),
    });
  }
}

function readsEventStreams({ headers: { accept } }: IncomingMessage): boolean {
  return accept?.toLowerCase().includes('text/event-stream') === true;
}

/** A stream that only says why there is none, and when to come back. */
function sendBye(
  { method }: IncomingMessage,
  response: ServerResponse,
  reason: ByeReason | Unavailable,
  cursor: string | undefined,
): void {
  const bye = sseFraming.event('bye', { reason }, { cursor, retry: spreadRetry(RETRY_REFUSED) });
  sendHeaders(response);
  response.end(method === 'HEAD' ? undefined : sseFraming.encode([bye]));
}
