import { nearestName } from './misspelt.ts';

/**
 * What a client is told when the answer is no. Everything else that is thrown is internal: it is logged whole, and the
 * client sees a bare 500.
 */

/**
 * One bad field: a JSON Pointer into the body (or into the query, read as an object), and the rule it breaks, as the end of
 * a sentence that begins with the field.
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

/** Whether anything of a publish that was refused for now may have been stored. */
export type MayBeStored = 'no' | 'unknown';

export interface RefusalFacts {
  /** Each bad field, where the fault lies in fields. */
  readonly errors?: readonly FieldError[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Of a publish with 503. */
  readonly stored?: MayBeStored | undefined;
}

/** A refusal: the request's fault or the moment's, said to the client as `application/problem+json` (RFC 9457). */
export class Refusal extends Error {
  readonly code: RefusalCode;
  readonly status: number;
  readonly errors: readonly FieldError[];
  readonly headers: Readonly<Record<string, string>>;
  readonly stored: MayBeStored | undefined;

  /**
   * @param code the kind of refusal; it fixes the status
   * @param detail a sentence that names the thing, the rule and what to do; shown to the client
   */
  constructor(code: RefusalCode, detail: string, facts: RefusalFacts = {}) {
    super(detail);
    this.name = 'Refusal';
    this.code = code;
    this.status = REFUSAL_STATUS[code];
    this.errors = facts.errors ?? [];
    this.headers = facts.headers ?? {};
    this.stored = facts.stored;
  }
}

const MOST_ERRORS = 100;

/**
 * Returns the refusal of a request with bad fields. Its detail is about the first of them, and says how many more there
 * are.
 *
 * @param errors at least one; past a hundred the rest is left out
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
    errors: errors.slice(0, MOST_ERRORS),
    headers,
  });
}

/** Returns the refusal (400) of a request that has one header more than once, with different values. */
export function differentValues(header: string): Refusal {
  return badFields([{ path: `/${header}`, message: 'is given more than once, with different values' }]);
}

/** A fault as a sentence: a field of a single message is called by its name, one of a batch by its pointer. */
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
 * Says that a name is not known: the message of a `FieldError`, which suggests the known name that is probably meant, or
 * else lists all of them.
 *
 * @param what the kind of name: `a field of a message`
 * @param faults how many faults there are before this one: one that is not shown suggests nothing, since that costs time
 */
export function unknownName(name: string, what: string, known: readonly string[], faults: number): string {
  if (known.length === 0) return `is not ${what}: this request takes none`;
  const meant = faults < MOST_ERRORS ? nearestName(name, known) : undefined;
  return meant === undefined
    ? `is not ${what}. Valid names: ${known.join(', ')}`
    : `is not ${what}. Did you mean "${meant}"?`;
}

/** A name as a token of a JSON Pointer (RFC 6901 §3), cut so that an answer stays readable. */
export function pointerToken(name: string): string {
  return name.slice(0, 128).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1');
}

/**
 * The refusal of a request that may be repeated as it is a little later.
 *
 * @param retryAfterSeconds whole seconds, for `Retry-After`
 */
export function unavailable(detail: string, retryAfterSeconds: number): Refusal {
  return new Refusal('unavailable', detail, { headers: { 'Retry-After': String(retryAfterSeconds) } });
}
