/**
 * A map with bounded memory. It keeps at least the `kept` keys that were set last, and at most twice as many. It drops a
 * whole generation of keys at a time, so every call costs the same, however many keys a client invents.
 */
export class Recent<Key, Value> {
  readonly #kept: number;
  #young = new Map<Key, Value>();
  #old = new Map<Key, Value>();

  constructor(kept: number) {
    this.#kept = kept;
  }

  /** The number of keys. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Returns the value of a key; `undefined` if it was not set, or was dropped. */
  get(key: Key): Value | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  /** Sets a value, which becomes the most recent. */
  set(key: Key, value: Value): void {
    this.#old.delete(key);
    this.#young.set(key, value);
    if (this.#young.size < this.#kept) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  /** Removes a key. Does nothing if it is not there. */
  delete(key: Key): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
