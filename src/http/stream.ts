import type { IncomingMessage, ServerResponse } from 'node:http';
import { Refusal, unavailable } from '../errors.ts';
import type { NotNow } from '../hub/devices.ts';
import type { MessageLog, Start } from '../log/message-log.ts';
import type { Inboxes } from '../log/store.ts';
import { DeviceStream, type StreamParts } from '../sse/device-stream.ts';
import { sendHeaders } from '../sse/event-stream.ts';
import { RETRY_REFUSED, retryFrame, serverFrame, spreadRetry } from '../sse/frame.ts';
import { methodNotAllowed, type ProblemParts } from './problem.ts';
import { nonEmpty, Query } from './query.ts';

const PARAMETERS = ['recipient', 'lastEventId', 'last', 'presence'];
const REASONS: Record<NotNow, string> = {
  shutdown: 'The service is shutting down; connect again in a moment.',
  'over-limit': 'As many streams are open as the service takes; connect again later.',
};

/**
 * `GET /stream?recipient=A[&recipient=B…][&lastEventId=CURSOR | &last=N][&presence=C…]`: an event stream of these
 * inboxes. It begins after `Last-Event-ID`, else after `lastEventId`, else with the newest `last` messages, else now.
 *
 * What will pass is said in band where the client reads event streams, since EventSource gives up for good on any
 * status but 200 (WHATWG HTML §9.2.3); others get 503. `HEAD` gets the headers, and opens nothing.
 *
 * @returns the handler, for the listener in front of Express: an open stream costs a third less without it
 * @throws {Refusal} from the handler, where the request is malformed or cannot be served now
 */
export function stream(
  parts: StreamParts,
  { requests, refusals }: ProblemParts,
): (request: IncomingMessage, response: ServerResponse) => void {
  const refuseMethod = methodNotAllowed('GET, HEAD');
  return (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      refuseMethod(request, response);
      return;
    }
    const query = new Query(request.url ?? '', PARAMETERS);
    const inboxes = query.inboxes();
    const watched = query.addresses('presence', { least: 0, most: 100 });
    const cursor = nonEmpty(request.headers['last-event-id']) ?? nonEmpty(query.text('lastEventId'));
    const last = query.integer('last', 0, { least: 0, most: 1000 });
    query.check();
    // The socket still belongs to the answer before (RFC 9112 §9.3.2), which a stream would never end.
    if (response.socket === null)
      throw new Refusal('malformed', 'A stream cannot be pipelined behind a request.');
    const { notNow } = parts.devices;
    if (notNow !== undefined) {
      // One that has no cursor yet comes back where it would have begun now; another keeps its own.
      const start =
        cursor === undefined ? parts.log.cursor(parts.log.newest(inboxes, last).after) : undefined;
      refuseForNow(request, response, notNow, start);
      refusals.add('unavailable', 200);
    } else if (request.method === 'HEAD') {
      sendHeaders(response);
      response.end();
    } else {
      const device = new DeviceStream(parts, response, {
        inboxes,
        start: startAt(parts.log, inboxes, cursor, last),
        watched,
        onFailed: (error) => requests.streamFailed(request, error),
      });
      requests.opened(request, device);
    }
  };
}

function startAt(log: MessageLog, inboxes: Inboxes, cursor: string | undefined, last: number): Start {
  return cursor === undefined ? log.newest(inboxes, last) : log.locate(cursor, inboxes);
}

function refuseForNow(
  request: IncomingMessage,
  response: ServerResponse,
  reason: NotNow,
  cursor: string | undefined,
): void {
  const retry = spreadRetry(RETRY_REFUSED);
  if (request.headers.accept?.includes('text/event-stream') !== true) {
    throw unavailable(REASONS[reason], Math.ceil(retry / 1000));
  }
  sendHeaders(response);
  response.end(
    request.method === 'HEAD' ? undefined : retryFrame(retry) + serverFrame('bye', { reason }, cursor),
  );
}
