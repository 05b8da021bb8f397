import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { pathOf } from './query.ts';
import { withoutTokens } from './signed-token.ts';

/** What the log says of a stream. */
export interface LoggedStream {
  /** Why it is over; `undefined` where only the closed connection tells. */
  readonly ended: string | undefined;
  /** How many messages were written. */
  readonly messages: number;
}

/** What is kept of a request while it goes on. */
interface Facts {
  /** When it came, on the clock of `performance.now()`; `undefined` where that was not noted. */
  began: number | undefined;
  id: string | undefined;
  /** Looked up while the connection is there to tell. */
  client: string | undefined;
  stream: LoggedStream | undefined;
  /** Whether its line is written. */
  logged: boolean;
}

/** An id that a proxy or a client may give: nothing that could break a line of a log, or be a secret by accident. */
const GIVEN_ID = /^[A-Za-z0-9._-]{1,64}$/;

const MOST_OF_PATH = 256;

/**
 * The lines of the log that are about requests, each with the id of its request. At level debug there is one for each
 * request that is over, and for each stream one when it opens and one when it closes; 5xx is at level error. What
 * costs time is done for these lines alone: how long a request took is known at level debug only.
 *
 * No content, query, header or token comes into the log: of a request it has the method, the path and the id.
 */
export class RequestLog {
  readonly #logger: Logger;
  readonly #clientOf: (request: IncomingMessage) => string | undefined;
  readonly #verbose: boolean;
  /** Of the requests that leave a line or are refused: noting each one slows publishes measurably. */
  readonly #facts = new WeakMap<IncomingMessage, Facts>();

  /** @param clientOf the address of a request's client, as far as proxies are believed */
  constructor(logger: Logger, clientOf: (request: IncomingMessage) => string | undefined) {
    this.#logger = logger;
    this.#clientOf = clientOf;
    this.#verbose = logger.isLevelEnabled('debug');
  }

  /** A request has come: call it before anything else is done with it. */
  begin(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#verbose) return;
    const facts = this.#of(request);
    facts.began = performance.now();
    facts.client = this.#clientOf(request);
    response.once('close', () => this.#over(request, response, facts));
  }

  /** The id of a request: what its `X-Request-Id` says where that is 1 to 64 of A-Z, a-z, 0-9, ".", "_", "-", else a new one. */
  idOf(request: IncomingMessage): string {
    const facts = this.#of(request);
    if (facts.id === undefined) {
      const given = request.headers['x-request-id'];
      facts.id = typeof given === 'string' && GIVEN_ID.test(given) ? given : randomUUID();
    }
    return facts.id;
  }

  /** A request is answered by a stream. */
  opened(request: IncomingMessage, stream: LoggedStream): void {
    if (!this.#verbose) return;
    this.#of(request).stream = stream;
    this.#logger.debug(this.#line(request), 'a stream was opened');
  }

  /** A request was answered past its response: its connection has left HTTP. */
  answered(request: IncomingMessage, status: number): void {
    this.#logger.debug({ ...this.#line(request), status }, 'a request was answered');
    this.#of(request).logged = true;
  }

  /** A stream is cut because of an error. */
  streamFailed(request: IncomingMessage, error: unknown): void {
    this.#logger.error({ ...this.#line(request), err: error }, 'the log cannot be read: a stream is cut');
  }

  /**
   * A request was answered with 5xx.
   *
   * @param error what was thrown, if the operator learns more from it than from the answer
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
      path: withoutTokens(pathOf(request.url ?? '')).slice(0, MOST_OF_PATH),
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
