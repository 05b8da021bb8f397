import { addressFault, EVERYTHING } from '../address.ts';

/** The set of addresses that a token allows: single ones, and all that begin with a prefix. */
export class AddressSet {
  readonly #exact: ReadonlySet<string>;
  readonly #prefixes: readonly string[];

  /**
   * @param entries addresses, and prefixes that end in `*`; `*` alone is everything
   * @throws {RangeError} if one is neither, with the rule that it breaks
   */
  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const why = entryFault(entry);
      if (why !== undefined) throw new RangeError(`${JSON.stringify(entry.slice(0, 200))} ${why}`);
    }
    const patterns = new Set(entries.filter((entry) => entry.endsWith(EVERYTHING)));
    this.#exact = new Set(entries.filter((entry) => !patterns.has(entry)));
    this.#prefixes = [...patterns].map((pattern) => pattern.slice(0, -EVERYTHING.length));
  }

  /** Returns the entries without duplicates: addresses, then prefixes that end in `*`. */
  toJSON(): readonly string[] {
    return [...this.#exact, ...this.#prefixes.map((prefix) => `${prefix}${EVERYTHING}`)];
  }

  /** Returns whether an address is in the set. `*`, the whole log, is in it only if everything is. */
  has(address: string): boolean {
    return this.#exact.has(address) || this.#prefixes.some((prefix) => address.startsWith(prefix));
  }
}

/** Returns the rule that an entry breaks. A prefix is valid if an address can begin with it. */
function entryFault(entry: string): string | undefined {
  if (!entry.endsWith(EVERYTHING)) return addressFault(entry);
  const prefix = entry.slice(0, -EVERYTHING.length);
  return prefix === '' ? undefined : addressFault(`${prefix}x`);
}
