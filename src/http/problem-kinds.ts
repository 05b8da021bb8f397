import { PROBLEM_STATUS, type ProblemKind } from '../errors.ts';

/** The page that explains each kind of problem, at the anchor of its name. */
export const PROBLEMS_PATH = '/problems';

/** Texts in Markdown about a kind of problem. */
export interface ProblemText {
  /** When it happens. It is the description of the status in OpenAPI, too. */
  readonly when: string;
  /** Advice for a client, or for its developer. */
  readonly remedy: string;
}

/** The texts about each kind of problem, for the page and for the description of the API. */
export const PROBLEM_TEXTS: Readonly<Record<ProblemKind, ProblemText>> = {
  malformed: {
    when:
      'This is not a valid HTTP request, there is no body, the JSON is malformed, or a field or parameter is unknown or breaks ' +
      'its rule.',
    remedy:
      'Correct the request: the same one will be refused again. If fields are bad, `errors` names them (up to 100) with their rules.',
  },
  unauthenticated: {
    when: 'There is no valid token.',
    remedy:
      'Send a valid token as `Authorization: Bearer …`, or open a session with `PUT /session`. If the token has expired, ' +
      'get a new one from your back end, and send the request again.',
  },
  forbidden: {
    when: 'The token or the page is not allowed to do this. In open mode, the request is not from the same machine.',
    remedy:
      'Use a token that grants this action for this address. A page of another origin must be in `CORS_ORIGINS`. A service ' +
      'without keys serves only its own machine: give it a key before others use it.',
  },
  'not-found': {
    when: 'There is no such path, message or subscription, or none that the client may see.',
    remedy:
      'Check the path and the id. A service without a key has no sessions. A message may have been removed by the retention, or it may belong to somebody else: the ' +
      'answer is the same, so that nobody learns which ids exist.',
  },
  'method-not-allowed': {
    when: 'The path does not have this method.',
    remedy: 'Use one of the methods in `Allow`.',
  },
  'precondition-failed': {
    when: '`If-Match` names another version.',
    remedy: 'Ask again without `If-Match`. Only the files of the pages and `/openapi.json` have versions.',
  },
  'request-timeout': {
    when: 'The header took 10 s, or the whole request 30 s.',
    remedy:
      'Send the request again. If this happens often, look for a slow network or for a proxy that holds back the body.',
  },
  'too-large': {
    when: 'The body or content is too large, has too many values, or arrives in too many pieces.',
    remedy:
      'Send less, or split a batch. Store large files elsewhere, and send their addresses. `detail` has the limit.',
  },
  'unsupported-media-type': {
    when: 'The content type or coding is not supported.',
    remedy:
      'Send JSON as `Content-Type: application/json` in UTF-8, or a single message as a form. A `Content-Encoding` must be ' +
      '`gzip`, `deflate` or `br`.',
  },
  conflict: {
    when: 'The idempotency key was used for something else, or there would be more subscriptions than allowed.',
    remedy: 'Use a new idempotency key for a new message. Remove subscriptions that are not used any more.',
  },
  'upgrade-required': {
    when: 'The request is not a WebSocket handshake of version 13.',
    remedy:
      'Open this path with a WebSocket client. If you use one, a proxy probably drops the headers `Connection` and `Upgrade`.',
  },
  'too-fast': {
    when: 'The client publishes faster than its rate.',
    remedy:
      'Wait for the seconds in `Retry-After` (on a socket, the milliseconds in `retry`), then send the request again. Each message ' +
      'counts, also in a batch, and so do refused publishes and each full 4 KiB of a body.',
  },
  'header-too-large': {
    when: 'The header has more fields or bytes than allowed.',
    remedy: 'Send fewer or shorter fields. Cookies of other services on the same host are a common cause.',
  },
  internal: {
    when: 'The service failed. The error was logged.',
    remedy:
      'Operators find the error in the log by the `X-Request-Id` of the answer. A publish may have been stored: send it again with ' +
      'the same `idempotencyKey`.',
  },
  'not-implemented': {
    when: 'The `Transfer-Encoding` has another coding before `chunked`.',
    remedy: 'Send the body with a `Content-Length`, or in chunks.',
  },
  unavailable: {
    when:
      'The service is shutting down, at one of its limits, behind or cut off from other nodes, or cannot read its keys, or read ' +
      'or write its log.',
    remedy:
      'Wait for the seconds in `Retry-After` (on a socket, the milliseconds in `retry`), then send the same request again. For a publish, `stored` tells whether it may ' +
      'have been stored: with the same `idempotencyKey`, it is stored only once. `detail` has the reason. If it is the log or ' +
      'the node, `/readyz` has it, too.',
  },
};

/**
 * Returns the `type` of a problem (RFC 9457 §3.1.1): a reference to its section on the page of the same service.
 *
 * @param basePath the prefix of this service's paths, as clients see them
 */
export function problemType(kind: ProblemKind, basePath: string): string {
  return `${basePath}${PROBLEMS_PATH}#${kind}`;
}

/** Returns all kinds of problems, by their status. */
export function problemKinds(): ProblemKind[] {
  const kinds = Object.keys(PROBLEM_STATUS) as ProblemKind[];
  return kinds.sort((one, other) => PROBLEM_STATUS[one] - PROBLEM_STATUS[other]);
}
