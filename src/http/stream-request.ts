import type { IncomingMessage } from 'node:http';
import type { Identity } from '../auth/identity.ts';
import { differentValues, type Refusal, unavailable } from '../errors.ts';
import type { NotNow } from '../hub/devices.ts';
import { parseCursor } from '../log/cursor.ts';
import type { MessageLog, Start } from '../log/message-log.ts';
import type { Inboxes } from '../log/store.ts';
import { DeviceStream, type StreamParts, type Transport } from '../stream/device-stream.ts';
import { RETRY_REFUSED, spreadRetry } from '../stream/server-events.ts';
import { requireAll } from './permission.ts';
import { nonEmpty, pathOf, Query } from './query.ts';
import type { RequestLog } from './request-log.ts';

const PARAMETERS = ['recipient', 'lastEventId', 'last', 'presence'];
const REASONS: Record<NotNow, string> = {
  shutdown: 'The service is shutting down; connect again in a moment.',
  'over-limit': 'As many streams are open as the service takes; connect again later.',
};

/** Why a stream is not opened for now, and where the device comes back; `undefined` where it knows itself. */
export interface SentAway {
  readonly reason: NotNow;
  readonly cursor: string | undefined;
}

/** What a request for a stream asks for, whatever is to be spoken on it: read, and allowed. */
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
    const query = new Query(request.url ?? '', PARAMETERS);
    this.#inboxes = query.inboxes(identity.client);
    this.#watched = query.addresses('presence', { least: 0, most: 100 });
    this.#cursor = lastEventId(request) ?? nonEmpty(query.text('lastEventId'));
    this.#last = query.integer('last', 0, { least: 0, most: 1000 });
    query.check();
    requireAll(identity.read, this.#inboxes, 'recipient', 'read');
    requireAll(identity.presence, this.#watched, 'presence', 'presence');
  }

  /** Why it is not served now; `undefined` where it is. */
  sentAway({ devices, log }: StreamParts): SentAway | undefined {
    const reason = devices.notNow(this.#identity.client);
    if (reason === undefined) return undefined;
    // One that has no cursor yet comes back where it would have begun now; another keeps its own.
    const fresh = this.#cursor === undefined;
    return { reason, cursor: fresh ? log.cursor(this.#startIn(log).after) : undefined };
  }

  /** Opens the stream, where the request says that it begins. */
  open(parts: StreamParts, requests: RequestLog, transport: Transport): DeviceStream {
    // The request is there as long as the stream, and its query may take 300 KiB.
    this.#request.url = pathOf(this.#request.url ?? '');
    const stream = new DeviceStream(parts, transport, {
      identity: this.#identity,
      inboxes: this.#inboxes,
      start: this.#startIn(parts.log),
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
 * The header `Last-Event-ID`; `undefined` if it is missing or empty. A proxy may have made one line of several
 * (RFC 9110 §5.3): equal ones are one here as well. A cursor has no comma.
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

/** The refusal of a stream for now, for a client that reads statuses. */
export function notNow(reason: NotNow): Refusal {
  return unavailable(REASONS[reason], Math.ceil(spreadRetry(RETRY_REFUSED) / 1000));
}
