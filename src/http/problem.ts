import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { KeysUnavailable } from '../auth/key-set.ts';
import {
  PROBLEM_STATUS,
  type ProblemKind,
  Refusal,
  REFUSAL_STATUS,
  type RefusalFacts,
  unavailable,
} from '../errors.ts';
import { LogUnavailable, LogUnreadable } from '../log/message-log.ts';
import { DATA_HEADERS } from './data-headers.ts';
import { problemType } from './problem-kinds.ts';
import type { RefusalCounters } from '../metrics/counters/refusal-counters.ts';
import type { RequestLog } from './request-log.ts';

const CONTENT_TYPE = 'application/problem+json';

/** Returns a problem's JSON (RFC 9457). */
function problemJson(
  kind: ProblemKind,
  basePath: string,
  detail: string,
  { errors = [], stored }: RefusalFacts = {},
): string {
  const status = PROBLEM_STATUS[kind];
  return JSON.stringify({
    type: problemType(kind, basePath),
    title: STATUS_CODES[status],
    status,
    detail,
    stored,
    ...(errors.length > 0 ? { errors } : {}),
  });
}

/** The places that record refused requests, and the prefix of this service's paths, as clients see them. */
export interface ProblemParts {
  readonly basePath: string;
  readonly requests: RequestLog;
  readonly refusals: RefusalCounters;
}

/** The answer to a request that failed. */
interface Problem {
  readonly status: number;
  readonly json: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Makes the answer for an error. A refusal is sent as it is. Any other error becomes a bare 500, and is logged in full.
 *
 * @param isThere whether the client is still connected: if it left while its request was read, no refusal is counted
 */
export function problemOf(
  request: IncomingMessage,
  error: unknown,
  { basePath, requests, refusals }: ProblemParts,
  isThere = true,
): Problem {
  const refusal = toRefusal(error);
  const kind = refusal?.code ?? 'internal';
  const status = PROBLEM_STATUS[kind];
  if (refusal === undefined) requests.failed(request, status, error);
  else if (refusal.code === 'unavailable' && !refusal.isLogged) {
    requests.failed(request, status, causeFor(error));
  }
  if (refusal === undefined || isThere) refusals.add(kind, status);
  return {
    status,
    json: problemJson(
      kind,
      basePath,
      refusal?.message ?? 'The service failed. The error was logged.',
      refusal,
    ),
    headers: refusal?.headers ?? {},
  };
}

/**
 * Makes the refusal of a publish from an error. A temporary one (503) says whether anything may have been stored.
 *
 * @returns any other error as it is
 */
export function publishProblem(error: unknown): unknown {
  const refusal = toRefusal(error);
  if (refusal?.code !== 'unavailable') return error;
  const { headers, message, isLogged } = refusal;
  if (!(error instanceof LogUnavailable))
    return new Refusal('unavailable', message, { headers, stored: 'no', isLogged });
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
 * Records a refusal (503) that was sent to a client in band, as `bye`.
 *
 * @param status the status that its answer has instead
 */
export function recordInBandRefusal(
  request: IncomingMessage,
  error: unknown,
  status: number,
  { requests, refusals }: ProblemParts,
): void {
  requests.failed(request, REFUSAL_STATUS.unavailable, causeFor(error));
  refusals.add('unavailable', status);
}

/** Answers a request with an error. Cuts the connection if the headers have been sent already. */
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
  response
    .writeHead(status, {
      ...DATA_HEADERS,
      ...headers,
      'X-Request-Id': parts.requests.idOf(request),
      'Content-Type': CONTENT_TYPE,
      'Content-Length': Buffer.byteLength(json),
    })
    .end(request.method === 'HEAD' ? undefined : json);
}

/** Returns whether an error is a 503: the same request may be served a little later. */
export function isTransient(error: unknown): boolean {
  return toRefusal(error)?.code === 'unavailable';
}

/**
 * Returns a whole response for a connection whose request could not be parsed.
 *
 * @param basePath the prefix of this service's paths, as clients see them
 * @param retryAfterSeconds whole seconds, for `Retry-After`; by default there is none
 */
export function rawProblem(
  kind: ProblemKind,
  basePath: string,
  detail: string,
  retryAfterSeconds?: number,
): string {
  const status = PROBLEM_STATUS[kind];
  const body = problemJson(kind, basePath, detail);
  const retry = retryAfterSeconds === undefined ? '' : `Retry-After: ${retryAfterSeconds}\r\n`;
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Type: ${CONTENT_TYPE}\r\n` +
    `${retry}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
}

/** Returns the handler of a path's other methods: 405, or 204 for OPTIONS. @param allowed the methods of the path */
export function methodNotAllowed(
  allowed: string,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    if (request.method === 'OPTIONS') {
      response.writeHead(204, { ...DATA_HEADERS, Allow: allowed }).end();
      return;
    }
    throw new Refusal(
      'method-not-allowed',
      `This path does not allow ${request.method}. It allows ${allowed.replace(/, (\w+)$/, ' and $1')}.`,
      { headers: { Allow: allowed } },
    );
  };
}

/** Returns the cause of a 503 if it must be logged: the disk could not be read. Returns `undefined` for other errors. */
function causeFor(error: unknown): unknown {
  return error instanceof LogUnreadable ? error : undefined;
}

/** Returns the refusal that a client gets for an error; `undefined` if the error is internal. */
function toRefusal(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error;
  if (error instanceof LogUnavailable) return unavailable(`Not now: ${error.message}. Try again later.`, 2);
  if (error instanceof KeysUnavailable) return unavailable(`Not now: ${error.message}.`, 5);
  const { status } = error as { status?: unknown };
  // Thrown by the router (http-errors).
  if (status === 400) return new Refusal('malformed', 'The path is not valid percent-encoded UTF-8.');
  return undefined;
}
