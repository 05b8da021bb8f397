import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { KeysUnavailable } from '../auth/key-set.ts';
import { Refusal, REFUSAL_STATUS, type RefusalFacts, unavailable } from '../errors.ts';
import { LogUnavailable, LogUnreadable } from '../log/message-log.ts';
import { setDataHeaders } from './data-headers.ts';
import type { Refusals } from './refusals.ts';
import type { RequestLog } from './request-log.ts';

const CONTENT_TYPE = 'application/problem+json';

/** A problem's JSON (RFC 9457). */
function problemJson(status: number, detail: string, { errors = [], stored }: RefusalFacts = {}): string {
  const title = STATUS_CODES[status] ?? 'Error';
  return JSON.stringify({
    type: 'about:blank',
    title,
    status,
    detail,
    stored,
    ...(errors.length > 0 ? { errors } : {}),
  });
}

/** Where it is written down that a request was refused. */
export interface ProblemParts {
  readonly requests: RequestLog;
  readonly refusals: Refusals;
}

/** What a client is told of what went wrong. */
interface Problem {
  readonly status: number;
  readonly json: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Makes a problem of what went wrong: a refusal as it is, anything else a bare 500, logged whole.
 *
 * @param isThere whether its client is: nobody is left to be refused where it went while its request was read
 */
export function problemOf(
  request: IncomingMessage,
  error: unknown,
  { requests, refusals }: ProblemParts,
  isThere = true,
): Problem {
  const refusal = toRefusal(error);
  const status = refusal?.status ?? 500;
  if (refusal === undefined) requests.failed(request, status, error);
  else if (refusal.code === 'unavailable') {
    requests.failed(request, status, causeFor(error));
  }
  if (refusal === undefined || isThere) refusals.add(refusal?.code ?? 'internal', status);
  return {
    status,
    json: problemJson(status, refusal?.message ?? 'The service failed; it is logged.', refusal),
    headers: refusal?.headers ?? {},
  };
}

/**
 * Makes the refusal of a publish of what went wrong with it: one for now (503) says whether anything may have been stored.
 *
 * @returns any other error as it is
 */
export function publishProblem(error: unknown): unknown {
  const refusal = toRefusal(error);
  if (refusal?.code !== 'unavailable') return error;
  const { headers, message } = refusal;
  if (!(error instanceof LogUnavailable))
    return new Refusal('unavailable', message, { headers, stored: 'no' });
  return error.mayBeStored
    ? new Refusal(
        'unavailable',
        `It may have been stored: ${error.message}. Send it again later, with the same idempotencyKey.`,
        { headers, stored: 'unknown' },
      )
    : new Refusal('unavailable', `Nothing was stored: ${error.message}. Send it again later.`, {
        headers,
        stored: 'no',
      });
}

/**
 * Takes note that a client was told in band, by `bye`, what would have been a 503 otherwise.
 *
 * @param status what its answer has instead
 */
export function noteInBand(
  request: IncomingMessage,
  error: unknown,
  status: number,
  { requests, refusals }: ProblemParts,
): void {
  requests.failed(request, REFUSAL_STATUS.unavailable, causeFor(error));
  refusals.add('unavailable', status);
}

/** Answers a request with what went wrong. Where the headers are out already, the connection is cut. */
export function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  parts: ProblemParts,
): void {
  const { status, json, headers } = problemOf(request, error, parts, !response.destroyed);
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  setDataHeaders(response);
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader('X-Request-Id', parts.requests.idOf(request));
  response.setHeader('Content-Type', CONTENT_TYPE);
  response.setHeader('Content-Length', Buffer.byteLength(json));
  response.writeHead(status).end(request.method === 'HEAD' ? undefined : json);
}

/** Whether an error is a 503: the same request may be served a little later. */
export function willPass(error: unknown): boolean {
  return toRefusal(error)?.code === 'unavailable';
}

/**
 * Returns a whole response for a connection whose request could not be parsed.
 *
 * @param retryAfterSeconds whole seconds, for `Retry-After`; by default there is none
 */
export function rawProblem(status: number, detail: string, retryAfterSeconds?: number): string {
  const body = problemJson(status, detail);
  const retry = retryAfterSeconds === undefined ? '' : `Retry-After: ${retryAfterSeconds}\r\n`;
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\nConnection: close\r\nContent-Type: ${CONTENT_TYPE}\r\n` +
    `${retry}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
}

/** Answers a request for a path that exists, with a method that it does not have. @param allowed those that it has */
export function methodNotAllowed(
  allowed: string,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    if (request.method === 'OPTIONS') {
      response.writeHead(204, { Allow: allowed }).end();
      return;
    }
    throw new Refusal(
      'method-not-allowed',
      `This path does not take ${request.method}. It takes ${allowed.replace(/, (\w+)$/, ' and $1')}.`,
      { headers: { Allow: allowed } },
    );
  };
}

/** What the log says of a 503 beside its line: why the disk could not be read. */
function causeFor(error: unknown): unknown {
  return error instanceof LogUnreadable ? error : undefined;
}

/** What a client is told of an error; `undefined` where that is nothing. */
function toRefusal(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error;
  if (error instanceof LogUnavailable) return unavailable(`Not now: ${error.message}. Try again later.`, 2);
  if (error instanceof KeysUnavailable) return unavailable(`Not now: ${error.message}.`, 5);
  const { status } = error as { status?: unknown };
  // The router throws it (http-errors).
  if (status === 400) return new Refusal('malformed', 'The path is not valid percent-encoding of UTF-8.');
  return undefined;
}
