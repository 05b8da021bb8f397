import { nearestName } from './misspelt.ts';

/**
 * Refusals are errors that a client is told about. Every other error is internal: it is logged in full, and the client
 * gets a bare 500.
 */

/**
 * One bad field: a JSON Pointer into the body (or into the query, read as an object), and the rule it breaks, as the
 * end of a sentence that begins with the field.
 */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

/** The status of each kind of refusal. */
export const REFUSAL_STATUS = {
  malformed: 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  'method-not-allowed': 405,
  'precondition-failed': 412,
  'too-large': 413,
  'unsupported-media-type': 415,
  conflict: 422,
  'upgrade-required': 426,
  'too-fast': 429,
  'header-too-large': 431,
  'not-implemented': 501,
  unavailable: 503,
} as const;

export type RefusalCode = keyof typeof REFUSAL_STATUS;

/** The status of each kind of problem: a refusal, a request that did not arrive in time, or a fault of the service. */
export const PROBLEM_STATUS = { ...REFUSAL_STATUS, 'request-timeout': 408, internal: 500 } as const;

export type ProblemKind = keyof typeof PROBLEM_STATUS;

/** Whether a publish that got 503 may have stored anything. */
export const MAY_BE_STORED = ['no', 'unknown'] as const;

export type MayBeStored = (typeof MAY_BE_STORED)[number];

export interface RefusalFacts {
  /** The bad fields, if the fault is in fields. */
  readonly errors?: readonly FieldError[];
  readonly headers?: Readonly<Record<string, string>>;
  /** For a publish that gets 503. */
  readonly stored?: MayBeStored | undefined;
  /** Whether the reason of a 503 is in the log already, so that a line for each request would say nothing new. */
  readonly isLogged?: boolean;
}

/** A refusal of a request that is wrong or comes at a bad time, sent as `application/problem+json` (RFC 9457). */
export class Refusal extends Error {
  readonly code: RefusalCode;
  readonly status: number;
  readonly errors: readonly FieldError[];
  readonly headers: Readonly<Record<string, string>>;
  readonly stored: MayBeStored | undefined;
  readonly isLogged: boolean;

  /**
   * @param code the kind of refusal; it fixes the status
   * @param detail a sentence for the client that names the thing, the rule and what to do
   */
  constructor(code: RefusalCode, detail: string, facts: RefusalFacts = {}) {
    super(detail);
    this.name = 'Refusal';
    this.code = code;
    this.status = REFUSAL_STATUS[code];
    this.errors = facts.errors ?? [];
    this.headers = facts.headers ?? {};
    this.stored = facts.stored;
    this.isLogged = facts.isLogged ?? false;
  }
}

export const MAX_ERRORS = 100;

/**
 * Returns the refusal of a request with bad fields. Its detail describes the first and counts the others.
 *
 * @param errors at least one; only the first hundred are sent
 * @param code 400 by default
 */
export function badFields(
  errors: readonly FieldError[],
  code: RefusalCode = 'malformed',
  headers: Readonly<Record<string, string>> = {},
): Refusal {
  const [first] = errors;
  const problems = errors.length === 2 ? 'problem' : 'problems';
  const more = errors.length > 1 ? ` ${errors.length - 1} more ${problems}, see errors.` : '';
  return new Refusal(code, first === undefined ? '' : `${sentenceOf(first)}${more}`, {
    errors: errors.slice(0, MAX_ERRORS),
    headers,
  });
}

/** Returns the refusal (400) of a request that repeats a header with different values. */
export function differentValues(header: string): Refusal {
  return badFields([{ path: `/${header}`, message: 'is given more than once, with different values' }]);
}

/** Returns a fault as a sentence. It calls a field of a single message by its name, one of a batch by its pointer. */
function sentenceOf({ path, message }: FieldError): string {
  const [, name = '', ...deeper] = path.split('/');
  const subject =
    path === ''
      ? 'The body'
      : deeper.length > 0
        ? path
        : `"${name.replaceAll('~1', '/').replaceAll('~0', '~')}"`;
  return `${subject} ${message}${/[.?]$/.test(message) ? '' : '.'}`;
}

/**
 * Returns the message of a `FieldError` about an unknown name. It suggests the known name that is probably meant, or
 * lists all of them.
 *
 * @param what the kind of name: `a field of a message`
 * @param faults the number of faults before this one. Only faults that are sent get a suggestion, which takes time
 */
export function unknownName(name: string, what: string, known: readonly string[], faults: number): string {
  if (known.length === 0) return `is not ${what}: this request takes none`;
  const meant = faults < MAX_ERRORS ? nearestName(name, known) : undefined;
  return meant === undefined
    ? `is not ${what}. Valid names: ${known.join(', ')}`
    : `is not ${what}. Did you mean "${meant}"?`;
}

/** Returns a name as a token of a JSON Pointer (RFC 6901 §3), shortened to keep the answer readable. */
export function pointerToken(name: string): string {
  return name.slice(0, 128).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1');
}

/**
 * Returns the refusal (503) of a request that may be repeated unchanged a little later.
 *
 * @param retryAfterSeconds whole seconds, for `Retry-After`
 * @param isLogged whether its reason is in the log already
 */
export function unavailable(detail: string, retryAfterSeconds: number, isLogged = false): Refusal {
  return new Refusal('unavailable', detail, {
    headers: { 'Retry-After': String(retryAfterSeconds) },
    isLogged,
  });
}
