import type { IncomingMessage } from 'node:http';
import type { Identity } from '../auth/identity.ts';
import type { ClientStream, Transport } from '../stream/client-stream.ts';
import type { Framing } from '../wire/framing.ts';
import {
  type ByeReason,
  RETRY_REFUSED,
  type RetrySpread,
  spreadRetry,
  type Unavailable,
} from '../wire/server-events.ts';
import { type Authenticator, SessionRefused } from './authenticate.ts';
import { recordInBandRefusal, type ProblemParts, isTransient } from './problem.ts';
import { StreamRefused, StreamRequest, type StreamRequestParts } from './stream-request.ts';

/** A request for a stream, as one protocol makes and answers it. Protocols differ in nothing else. */
export interface StreamExchange {
  readonly request: IncomingMessage;
  readonly framing: Framing;
  /** The status of a response that is a stream. */
  readonly status: 200 | 101;
  /** Whether the client can publish on its stream. A session cookie then counts only from an allowed page. */
  readonly publishes: boolean;
  /** Whether the client has left, for example while its token was checked. */
  readonly isGone: boolean;
  /** Whether a stream with only a `bye` can be sent, and the client reads it. Other clients are refused by a status. */
  readonly takesBye: boolean;
  /** Sends a stream that consists of these bytes, and closes it. */
  sendBye(bytes: Buffer, reason: ByeReason | Unavailable): void;
  /** Answers a request that is allowed. @param begin opens the stream; not called if only headers are requested */
  answer(identity: Identity, begin: (open: Transport['open']) => ClientStream): void;
}

/** The steps from a request to an open stream or a refusal: the same for all protocols. */
export class StreamOpening {
  readonly #parts: StreamRequestParts;
  readonly #authenticator: Authenticator;
  readonly #problems: ProblemParts;

  constructor(parts: StreamRequestParts, authenticator: Authenticator, problems: ProblemParts) {
    this.#parts = parts;
    this.#authenticator = authenticator;
    this.#problems = problems;
  }

  /**
   * Opens the stream that a request asks for. A temporary refusal (503, or a session that the page can renew) is sent as
   * `bye` if the client accepts that. Does nothing if the client has left.
   *
   * @throws {Refusal} if the request is malformed, not allowed, or not served now and its client reads statuses
   */
  async serve(exchange: StreamExchange): Promise<void> {
    const { request, framing } = exchange;
    try {
      const identity = await this.#authenticator.identify(request, exchange.publishes);
      if (exchange.isGone) {
        request.socket.destroy();
        return;
      }
      const asked = new StreamRequest(request, identity);
      asked.admit(this.#parts);
      exchange.answer(identity, (open) =>
        asked.open(this.#parts, this.#problems.requests, { framing, open }),
      );
    } catch (error) {
      const bye = byeFor(error);
      if (bye === undefined || !exchange.takesBye) throw error;
      this.#sendAway(exchange, bye, error);
    }
  }

  #sendAway(
    exchange: StreamExchange,
    { reason, cursor, retry: spread = RETRY_REFUSED }: Bye,
    error: unknown,
  ): void {
    const { request, framing, status } = exchange;
    const retry = spreadRetry(spread);
    exchange.sendBye(framing.encode([framing.event('bye', { reason }, { cursor, retry })]), reason);
    if (error instanceof StreamRefused || error instanceof SessionRefused) {
      this.#problems.requests.answered(request, status);
      this.#problems.refusals.add(error.code, status);
    } else {
      recordInBandRefusal(request, error, status, this.#problems);
    }
  }
}

/** The end of a stream that is not opened. */
interface Bye {
  readonly reason: ByeReason | Unavailable;
  readonly cursor?: string | undefined;
  readonly retry?: RetrySpread;
}

/** Returns the `bye` for a temporary refusal; `undefined` for any other error. */
function byeFor(error: unknown): Bye | undefined {
  if (error instanceof SessionRefused) return { reason: 'token-expired' };
  if (error instanceof StreamRefused) return error;
  return isTransient(error) ? { reason: 'unavailable' } : undefined;
}
