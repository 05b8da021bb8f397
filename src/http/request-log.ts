import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { pathOf } from './query.ts';
import { withoutTokens } from './signed-token.ts';

/** The facts about a stream that are logged. */
export interface LoggedStream {
  /** Why it ended; `undefined` if only the closed connection shows that it did. */
  readonly ended: string | undefined;
  /** The number of messages that were written. */
  readonly messages: number;
}

/** The facts about a request, kept while it is under way. */
interface Facts {
  /** When it arrived, on the clock of `performance.now()`; `undefined` if that was not recorded. */
  began: number | undefined;
  id: string | undefined;
  /** Looked up while the connection is still open. */
  client: string | undefined;
  stream: LoggedStream | undefined;
  /** Whether its line is written. */
  logged: boolean;
}

/** An id that a proxy or a client may give. It can neither break a line of a log nor be a secret by accident. */
const GIVEN_ID = /^[A-Za-z0-9._-]{1,64}$/;

const MAX_OF_PATH = 256;

/**
 * The lines of the log about requests, each with the id of its request. At level debug there is one for each request
 * that has ended, and for each stream one when it opens and one when it closes; 5xx is at level error. The duration of a
 * request is measured only at level debug, since that costs time.
 *
 * No content, query, header or token gets into the log. A line has the method, the path and the id of its request, and the
 * address of the client.
 */
export class RequestLog {
  readonly #logger: Logger;
  readonly #clientOf: (request: IncomingMessage) => string | undefined;
  readonly #verbose: boolean;
  /** Only requests that are logged or refused have facts: keeping them for every request slows publishes measurably. */
  readonly #facts = new WeakMap<IncomingMessage, Facts>();

  /** @param clientOf returns the address of a request's client, as trusted proxies report it */
  constructor(logger: Logger, clientOf: (request: IncomingMessage) => string | undefined) {
    this.#logger = logger;
    this.#clientOf = clientOf;
    this.#verbose = logger.isLevelEnabled('debug');
  }

  /** Notes that a request has arrived. Call it before anything else is done with the request. */
  begin(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#verbose) return;
    const facts = this.#of(request);
    facts.began = performance.now();
    facts.client = this.#clientOf(request);
    response.once('close', () => this.#over(request, response, facts));
  }

  /** Returns a request's id: its `X-Request-Id` if that has 1 to 64 characters from A-Z, a-z, 0-9, ".", "_", "-"; else a new one. */
  idOf(request: IncomingMessage): string {
    const facts = this.#of(request);
    if (facts.id === undefined) {
      const given = request.headers['x-request-id'];
      facts.id = typeof given === 'string' && GIVEN_ID.test(given) ? given : randomUUID();
    }
    return facts.id;
  }

  /** Logs that a request is answered by a stream. */
  opened(request: IncomingMessage, stream: LoggedStream): void {
    if (!this.#verbose) return;
    this.#of(request).stream = stream;
    this.#logger.debug(this.#line(request), 'a stream was opened');
  }

  /** Logs that a request was answered by a stream that has only a `bye`. */
  answered(request: IncomingMessage, status: number): void {
    if (!this.#verbose) return;
    this.#logger.debug({ ...this.#line(request), status }, 'a request was answered');
    this.#of(request).logged = true;
  }

  /** Logs that a stream is cut because of an error. */
  streamFailed(request: IncomingMessage, error: unknown): void {
    this.#logger.error({ ...this.#line(request), err: error }, 'the log cannot be read: a stream is cut');
  }

  /**
   * Logs that a request was answered with 5xx.
   *
   * @param error the error, if it tells the operator more than the answer does
   */
  failed(request: IncomingMessage, status: number, error?: unknown): void {
    const line = { ...this.#line(request), status, ...(error === undefined ? {} : { err: error }) };
    this.#logger.error(line, status === 503 ? 'a request could not be served' : 'a request failed');
    this.#of(request).logged = true;
  }

  #over(request: IncomingMessage, response: ServerResponse, { stream, logged }: Facts): void {
    if (logged && stream === undefined) return;
    const line = this.#line(request);
    if (stream !== undefined) {
      const { ended = 'client', messages } = stream;
      this.#logger.debug({ ...line, reason: ended, messages }, 'a stream was closed');
    } else if (!response.writableFinished) {
      this.#logger.debug(line, 'a request was given up by its client');
    } else {
      this.#logger.debug({ ...line, status: response.statusCode }, 'a request was answered');
    }
  }

  #line(request: IncomingMessage): Record<string, unknown> {
    const { began, client = this.#clientOf(request) } = this.#of(request);
    return {
      requestId: this.idOf(request),
      method: request.method,
      path: withoutTokens(pathOf(request.url ?? '')).slice(0, MAX_OF_PATH),
      client,
      ...(began === undefined ? {} : { milliseconds: Math.round(performance.now() - began) }),
    };
  }

  #of(request: IncomingMessage): Facts {
    let facts = this.#facts.get(request);
    if (facts === undefined) {
      facts = { began: undefined, id: undefined, client: undefined, stream: undefined, logged: false };
      this.#facts.set(request, facts);
    }
    return facts;
  }
}
