import type { IncomingMessage } from 'node:http';
import type { Identity } from '../auth/identity.ts';
import { differentValues, Refusal } from '../errors.ts';
import type { ConnectRefusal } from '../hub/connections.ts';
import type { Outage } from '../hub/outage.ts';
import { parseCursor } from '../log/cursor.ts';
import type { MessageLog, Start } from '../log/message-log.ts';
import type { Inboxes } from '../log/inboxes.ts';
import { ClientStream, type StreamParts, type Transport } from '../stream/client-stream.ts';
import { RETRY_REFUSED, type RetrySpread, spreadRetrySeconds } from '../wire/server-events.ts';
import { requireAll } from '../auth/permission.ts';
import { addresses, cursor, inboxes, integer } from './parameters.ts';
import { nonEmpty, pathOf, Query } from './query.ts';
import type { RequestLog } from './request-log.ts';

/** The parameters of a stream, in any protocol. */
export const STREAM_PARAMETERS = {
  recipient: inboxes(
    'The inboxes to follow; with a token, by default its `sub`. `*` alone is the whole log.',
  ),
  lastEventId: cursor(
    'The cursor after which the stream begins. The header `Last-Event-ID` takes precedence.',
  ),
  last: integer(
    { min: 0, max: 1000 },
    'Without a cursor: how many of the newest messages of these inboxes the stream begins with.',
    0,
  ),
  presence: addresses(
    { min: 0, max: 100 },
    'The addresses whose presence is reported. Needs the grant `presence`.',
  ),
};
const REASONS: Record<ConnectRefusal, string> = {
  shutdown: 'The service is shutting down; connect again in a moment.',
  'over-limit': 'The limit on open streams is reached; connect again later.',
  disconnected: 'This node is cut off from the others; connect again later, or to another node.',
};

/** The parts of the service that open streams. */
export interface StreamRequestParts extends StreamParts {
  readonly outage: Outage;
}

/** The refusal (503) of a stream that cannot be opened now. */
export class StreamRefused extends Refusal {
  readonly reason: ConnectRefusal;
  /** When the client should reconnect. */
  readonly retry: RetrySpread;
  /** The cursor to reconnect with; `undefined` if the client sent its own. */
  readonly cursor: string | undefined;

  constructor(reason: ConnectRefusal, retry: RetrySpread, cursor: string | undefined) {
    super('unavailable', REASONS[reason], { headers: { 'Retry-After': String(spreadRetrySeconds(retry)) } });
    this.name = 'StreamRefused';
    this.reason = reason;
    this.retry = retry;
    this.cursor = cursor;
  }
}

/** The query of a request for a stream, in any protocol, parsed and checked. */
export class StreamRequest {
  readonly #request: IncomingMessage;
  readonly #identity: Identity;
  readonly #inboxes: Inboxes;
  readonly #watched: readonly string[];
  readonly #cursor: string | undefined;
  readonly #last: number;

  /** @throws {Refusal} if it is malformed (400) or not allowed (403) */
  constructor(request: IncomingMessage, identity: Identity) {
    this.#request = request;
    this.#identity = identity;
    const query = new Query(request.url ?? '', STREAM_PARAMETERS);
    this.#inboxes = query.inboxes(identity.client);
    this.#watched = query.addresses('presence', STREAM_PARAMETERS.presence);
    this.#cursor = lastEventId(request) ?? nonEmpty(query.text('lastEventId'));
    this.#last = query.integer('last', 0, STREAM_PARAMETERS.last);
    query.check();
    requireAll(identity.read, this.#inboxes, 'recipient', 'read');
    requireAll(identity.presence, this.#watched, 'presence', 'presence');
  }

  /**
   * Checks that a stream may be opened now.
   *
   * @throws {StreamRefused} if the service is ending or cut off, or a limit is reached
   */
  admit({ connections, log, outage }: StreamRequestParts): void {
    const isCutOff = outage.reason !== undefined && !connections.ending;
    const reason = isCutOff ? 'disconnected' : connections.refusalFor(this.#identity.client);
    if (reason === undefined) return;
    // A client without a cursor gets the cursor of the position where its stream would begin now. Others keep their own.
    const isNew = this.#cursor === undefined;
    const retry = isCutOff ? outage.retry : RETRY_REFUSED;
    throw new StreamRefused(reason, retry, isNew ? log.cursor(this.#startIn(log).after) : undefined);
  }

  /** Opens the stream, at the position that the request names. */
  open(parts: StreamParts, requests: RequestLog, transport: Transport): ClientStream {
    // The request stays in memory as long as the stream is open, and its query may take 300 KiB.
    this.#request.url = pathOf(this.#request.url ?? '');
    const stream = ClientStream.open(parts, transport, {
      identity: this.#identity,
      inboxes: this.#inboxes,
      start: () => this.#startIn(parts.log),
      reached: this.#cursor === undefined ? undefined : parts.log.reach(this.#cursor),
      watched: this.#watched,
      onFailed: (error) => requests.streamFailed(this.#request, error),
    });
    requests.opened(this.#request, stream);
    return stream;
  }

  #startIn(log: MessageLog): Start {
    return this.#cursor === undefined
      ? log.newest(this.#inboxes, this.#last)
      : log.locate(this.#cursor, this.#inboxes);
  }
}

/**
 * Returns the header `Last-Event-ID`; `undefined` if it is missing or empty. A proxy may have joined several into one
 * line (RFC 9110 §5.3): equal ones count as one. A cursor has no comma.
 *
 * @throws {Refusal} 400 if it is a line of different cursors
 */
function lastEventId({ headers }: IncomingMessage): string | undefined {
  const header = nonEmpty(headers['last-event-id']);
  const all = [...new Set(header?.split(',').map((part) => part.trim()))];
  if (all.length <= 1) return nonEmpty(all[0]);
  if (all.every((one) => parseCursor(one) !== undefined)) throw differentValues('Last-Event-ID');
  return header;
}
