import { addressFault, EVERYTHING } from '../address.ts';
import { badFields, type FieldError, Refusal, unknownName } from '../errors.ts';
import type { Range } from '../rule.ts';
import { INBOXES, MAX_ID, type Parameters } from './parameters.ts';

/** No endpoint takes more than 200 addresses and a few other parameters. */
export const MAX_PAIRS = 1000;

/** A path may have 300 KiB, and every fault of a query repeats it. */
const MAX_SHOWN_PATH = 100;

/**
 * Reads `application/x-www-form-urlencoded` text (a query or a body) without altering it. Bytes that are not UTF-8 are
 * refused: URLSearchParams silently replaces them with U+FFFD, which changes names.
 *
 * @returns each pair, in order
 * @throws {Refusal} 400 if it is malformed or has more than 1,000 pairs
 */
export function parsePairs(text: string): [name: string, value: string][] {
  if (text === '') return [];
  if (text.split('&', MAX_PAIRS + 1).length > MAX_PAIRS) {
    throw new Refusal('malformed', `The query has more than ${MAX_PAIRS} parameters.`);
  }
  const decode = (part: string): string => {
    try {
      return decodeURIComponent(part.replaceAll('+', ' '));
    } catch {
      throw new Refusal(
        'malformed',
        `"${part.slice(0, 100).toWellFormed()}" is not valid percent-encoded UTF-8. Write "%" as "%25" ` +
          '(with curl: --data-urlencode).',
      );
    }
  };
  return text
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=');
      return equals === -1
        ? [decode(pair), '']
        : [decode(pair.slice(0, equals)), decode(pair.slice(equals + 1))];
    });
}

/**
 * Returns a request's target as a path with its query, without the origin that a proxy may send (RFC 9112 §3.2.2): later
 * readers of the URL do not expect one.
 *
 * @throws {Refusal} 404 if there is no path in it
 */
export function originForm(target: string): string {
  const path = target.replace(/^https?:\/\/[^/?]*/i, '');
  if (path.startsWith('/')) return path;
  if (path !== target) return `/${path}`;
  throw new Refusal('not-found', 'The request has no path. Send one, such as /messages.');
}

/** Returns the path of a request's target, without its query. */
export function pathOf(target: string): string {
  const mark = target.indexOf('?');
  return mark === -1 ? target : target.slice(0, mark);
}

/** Returns the text of a parameter or header; `undefined` if it is missing, repeated or empty. */
export function nonEmpty(text: string | string[] | undefined): string | undefined {
  return typeof text === 'string' && text !== '' ? text : undefined;
}

/**
 * A request's query, read parameter by parameter. Faults are collected, and `check` reports them together: do not use any
 * value before calling `check`.
 */
export class Query {
  readonly #values = new Map<string, string[]>();
  readonly #errors: FieldError[] = [];

  /**
   * @param target the request's target: path and query
   * @param known the parameters that this endpoint has
   * @throws {Refusal} 400 if the query is malformed
   */
  constructor(target: string, known: Parameters) {
    const mark = target.indexOf('?');
    for (const [name, value] of parsePairs(mark === -1 ? '' : target.slice(mark + 1))) {
      const values = this.#values.get(name);
      if (values !== undefined) {
        values.push(value);
        continue;
      }
      this.#values.set(name, [value]);
      if (!Object.hasOwn(known, name)) {
        const what = `a query parameter of ${pathOf(target).slice(0, MAX_SHOWN_PATH)}`;
        this.fault(name.slice(0, 128), unknownName(name, what, Object.keys(known), this.#errors.length));
      }
    }
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Returns how often a parameter is given. */
  count(name: string): number {
    return this.#values.get(name)?.length ?? 0;
  }

  /** Returns the value of a parameter that may be given at most once; `undefined` if it is not given. */
  text(name: string): string | undefined {
    const values = this.#values.get(name) ?? [];
    if (values.length > 1) this.fault(name, 'is given more than once');
    return values[0];
  }

  /** Returns a whole number; `otherwise` if it is not given. */
  integer(name: string, otherwise: number, { min, max }: Range): number {
    const text = this.text(name);
    if (text === undefined) return otherwise;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    this.fault(name, `must be a whole number from ${min} to ${max}`);
    return otherwise;
  }

  /** Returns the id of a message; `undefined` for `latest`, which is the default. */
  before(): number | undefined {
    const text = this.text('before');
    if (text === undefined || text === 'latest') return undefined;
    const id = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
    if (id >= 1 && id <= MAX_ID) return id;
    this.fault('before', 'must be the id of a message, or "latest"');
    return undefined;
  }

  /** Returns addresses, each once, in the order given. */
  addresses(name: string, { min, max }: Range): string[] {
    const values = [...new Set(this.#values.get(name) ?? [])];
    if (values.length < min) this.fault(name, `is required: an address, as in ?${name}=bob`);
    if (values.length > max) {
      this.fault(name, max === 1 ? 'must be given once' : `may be given with at most ${max} addresses`);
    }
    for (const value of values.slice(0, max)) {
      const why = addressFault(value);
      if (why !== undefined) this.fault(name, why);
    }
    return values;
  }

  /**
   * Returns the inboxes to follow: up to 100 addresses, or `*` alone, the whole log.
   *
   * @param own the client's own address, the default; in open mode there is none, and an address must be given
   */
  inboxes(own: string | undefined): string[] {
    if (own !== undefined && !this.has('recipient')) return [own];
    if (this.#values.get('recipient')?.every((value) => value === EVERYTHING) === true) return [EVERYTHING];
    return this.addresses('recipient', INBOXES);
  }

  /** Adds a fault. */
  fault(name: string, message: string): void {
    this.#errors.push({ path: `/${name}`, message });
  }

  /** Refuses the query if it has faults. @throws {Refusal} 400 if a parameter is unknown or breaks a rule */
  check(): void {
    if (this.#errors.length > 0) throw badFields(this.#errors);
  }
}
