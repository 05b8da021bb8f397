/**
 * The browser's storage of this site: kept over reloads and crashes, shared by all tabs, and written before a call
 * returns. Where it is shut (private modes, embedded pages), the memory of this page stands in.
 */
class Storage {
  /** @type {Map<string, string>} */
  #memory = new Map();
  /** @type {globalThis.Storage | undefined} */
  #kept;

  constructor() {
    try {
      // Null in web views where it is turned off, whatever the types say.
      const kept = /** @type {globalThis.Storage | null} */ (globalThis.localStorage);
      this.#kept = kept ?? undefined;
    } catch {
      this.#kept = undefined;
    }
  }

  /**
   * @param {string} name
   * @returns {string | undefined}
   */
  get(name) {
    return this.#kept?.getItem(name) ?? this.#memory.get(name);
  }

  /**
   * @param {string} name
   * @param {string} value
   * @throws {DOMException} where there is no room
   */
  set(name, value) {
    if (this.#kept === undefined) this.#memory.set(name, value);
    else this.#kept.setItem(name, value);
  }

  /** @param {string} name */
  remove(name) {
    this.#memory.delete(name);
    this.#kept?.removeItem(name);
  }

  /**
   * The names that begin with a text, in order.
   *
   * @param {string} prefix
   */
  names(prefix) {
    const names = this.#kept === undefined ? [...this.#memory.keys()] : Object.keys(this.#kept);
    return names.filter((name) => name.startsWith(prefix)).sort();
  }
}

export const storage = new Storage();
