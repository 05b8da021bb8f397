import { addressFault, EVERYTHING } from '../address.ts';

/** Addresses that a token names: some exactly, some by the beginning that they share. */
export class AddressSet {
  readonly #exact: ReadonlySet<string>;
  readonly #prefixes: readonly string[];

  /**
   * @param entries addresses, and prefixes that end in `*`; `*` alone is everything
   * @throws {RangeError} where one is neither, with the rule that it breaks
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

  /** Returns its entries, without repetitions: addresses, and behind them prefixes that end in `*`. */
  toJSON(): readonly string[] {
    return [...this.#exact, ...this.#prefixes.map((prefix) => `${prefix}${EVERYTHING}`)];
  }

  /** Whether it has an address. `*`, the whole log, is in it only where everything is. */
  has(address: string): boolean {
    return this.#exact.has(address) || this.#prefixes.some((prefix) => address.startsWith(prefix));
  }
}

/** A prefix is one where some address begins with it. */
function entryFault(entry: string): string | undefined {
  if (!entry.endsWith(EVERYTHING)) return addressFault(entry);
  const prefix = entry.slice(0, -EVERYTHING.length);
  return prefix === '' ? undefined : addressFault(`${prefix}x`);
}
