/**
 * A map that forgets: it keeps at least the last `kept` keys that were set, and at most twice as many. It drops them a
 * whole generation at a time, so that no call costs more than any other, however many names somebody thinks of.
 */
export class Recent<Key, Value> {
  readonly #kept: number;
  #young = new Map<Key, Value>();
  #old = new Map<Key, Value>();

  constructor(kept: number) {
    this.#kept = kept;
  }

  /** How many keys there are. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** The value of a key; `undefined` if it was never set, or is forgotten. */
  get(key: Key): Value | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  /** Sets a value, as the most recent. */
  set(key: Key, value: Value): void {
    this.#old.delete(key);
    this.#young.set(key, value);
    if (this.#young.size < this.#kept) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  /** Takes a key out. Nothing is done if it is not there. */
  delete(key: Key): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
