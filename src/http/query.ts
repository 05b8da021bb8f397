import { addressFault, EVERYTHING } from '../address.ts';
import { badFields, type FieldError, Refusal, unknownName } from '../errors.ts';

/** The widest range of a whole number in a query. */
export interface IntegerRule {
  readonly least: number;
  readonly most: number;
}

/** No endpoint takes more than 200 addresses, and a few parameters beside them. */
const MAX_PAIRS = 1000;

/** A path may take 300 KiB, and each fault of a query names it. */
const MAX_SHOWN_PATH = 100;

/**
 * Reads `application/x-www-form-urlencoded` text (a query, or a body) as it stands: where URLSearchParams would put
 * U+FFFD in the place of bytes that are not UTF-8, and so alter a name without a word, this refuses.
 *
 * @returns each pair, in order
 * @throws {Refusal} malformed, or more than 1,000 pairs
 */
export function parsePairs(text: string): [name: string, value: string][] {
  if (text.split('&', MAX_PAIRS + 1).length > MAX_PAIRS) {
    throw new Refusal('malformed', `The query has more than ${MAX_PAIRS} parameters.`);
  }
  const decode = (part: string): string => {
    try {
      return decodeURIComponent(part.replaceAll('+', ' '));
    } catch {
      throw new Refusal(
        'malformed',
        `"${part.slice(0, 100).toWellFormed()}" is not valid percent-encoding of UTF-8. Write "%" as "%25" ` +
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
 * A request's target as a path with its query: without the origin that a proxy may send (RFC 9112 §3.2.2), on which
 * what reads URLs further on could choke.
 *
 * @throws {Refusal} 404 where there is no path in it
 */
export function originForm(target: string): string {
  const path = target.replace(/^https?:\/\/[^/?]*/i, '');
  if (path.startsWith('/')) return path;
  if (path !== target) return `/${path}`;
  throw new Refusal('not-found', 'The request names no path: ask for one, such as /messages.');
}

/** The path of a request's target, without its query. */
export function pathOf(target: string): string {
  const mark = target.indexOf('?');
  return mark === -1 ? target : target.slice(0, mark);
}

/** A text that says something: an empty parameter or header is as good as none. */
export function nonEmpty(text: string | string[] | undefined): string | undefined {
  return typeof text === 'string' && text !== '' ? text : undefined;
}

/**
 * A request's query, read parameter by parameter. Faults are gathered, and said together by `check`: nothing that was
 * read is to be used before that.
 */
export class Query {
  readonly #values = new Map<string, string[]>();
  readonly #errors: FieldError[] = [];

  /**
   * @param target the request's target: path and query
   * @param known the parameters that this endpoint has
   * @throws {Refusal} where the query is malformed
   */
  constructor(target: string, known: readonly string[]) {
    const mark = target.indexOf('?');
    for (const [name, value] of parsePairs(mark === -1 ? '' : target.slice(mark + 1))) {
      const values = this.#values.get(name);
      if (values !== undefined) {
        values.push(value);
        continue;
      }
      this.#values.set(name, [value]);
      if (!known.includes(name)) {
        const what = `a query parameter of ${pathOf(target).slice(0, MAX_SHOWN_PATH)}`;
        this.fault(name.slice(0, 128), unknownName(name, what, known, this.#errors.length));
      }
    }
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** How often a parameter is given. */
  count(name: string): number {
    return this.#values.get(name)?.length ?? 0;
  }

  /** The value of a parameter that is given at most once. */
  text(name: string): string | undefined {
    const values = this.#values.get(name) ?? [];
    if (values.length > 1) this.fault(name, 'is given more than once');
    return values[0];
  }

  /** A whole number; `otherwise` where it is not given. */
  integer(name: string, otherwise: number, { least, most }: IntegerRule): number {
    const text = this.text(name);
    if (text === undefined) return otherwise;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    this.fault(name, `must be a whole number from ${least} to ${most}`);
    return otherwise;
  }

  /** The id of a message, or `latest`, which is the default and comes out as `undefined`. */
  before(): number | undefined {
    const text = this.text('before');
    if (text === undefined || text === 'latest') return undefined;
    const id = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
    if (id >= 1 && Number.isSafeInteger(id)) return id;
    this.fault('before', 'must be the id of a message, or "latest"');
    return undefined;
  }

  /** Addresses, each once, in the order in which they are given. */
  addresses(name: string, { least, most }: IntegerRule): string[] {
    const values = [...new Set(this.#values.get(name) ?? [])];
    if (values.length < least) this.fault(name, `is required: an address, as in ?${name}=bob`);
    if (values.length > most) {
      this.fault(name, most === 1 ? 'must be given once' : `may be given with at most ${most} addresses`);
    }
    for (const value of values.slice(0, most)) {
      const why = addressFault(value);
      if (why !== undefined) this.fault(name, why);
    }
    return values;
  }

  /**
   * The inboxes to follow: up to 100 addresses, or `*` alone, the whole log.
   *
   * @param own the client's own address, which is meant where none is given; in open mode one has to be given
   */
  inboxes(own: string | undefined): string[] {
    if (own !== undefined && !this.has('recipient')) return [own];
    if (this.#values.get('recipient')?.every((value) => value === EVERYTHING) === true) return [EVERYTHING];
    return this.addresses('recipient', { least: 1, most: 100 });
  }

  /** Takes note of a fault. */
  fault(name: string, message: string): void {
    this.#errors.push({ path: `/${name}`, message });
  }

  /** @throws {Refusal} where a parameter is unknown or broke a rule */
  check(): void {
    if (this.#errors.length > 0) throw badFields(this.#errors);
  }
}
