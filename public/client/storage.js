import { isPage, listen } from './environment.js';

/** @typedef {ReturnType<typeof createStorage>} Storage */

/**
 * Returns a storage of the browser for this site. Values survive reloads and crashes, and are written before
 * a call returns. If the storage cannot be used (in a private window, an embedded page or a program, or if
 * cookies are blocked), the memory of this page replaces it; while it is full, memory holds single values.
 *
 * @param {() => globalThis.Storage} find returns the browser's storage; may throw
 */
export function createStorage(find) {
  /** Values that the browser has no room for, the oldest first. @type {Map<string, string>} */
  const memory = new Map();
  /** Whether the storage was looked for: not before its first use, because that may ask for a permission. */
  let isLookedFor = false;
  /** The browser's storage, if it can be used. @type {globalThis.Storage | undefined} */
  let found;

  function browser() {
    if (isLookedFor) return found;
    isLookedFor = true;
    if (isPage()) found = attempt(usable);
    listen('storage', (/** @type {StorageEvent} */ { storageArea, key, newValue }) => {
      // Another tab had room for a newer value.
      if (storageArea === found && newValue !== null) memory.delete(String(key));
    });
    return found;
  }

  /**
   * Returns the browser's storage; throws if it cannot be read. It is null, despite its type, if turned off.
   */
  function usable() {
    const storage = find();
    storage.getItem('');
    return storage;
  }

  /** @param {string} name @param {string} value @returns {boolean} whether it was stored */
  function write(name, value) {
    const kept = browser();
    return (
      attempt(() => {
        kept?.setItem(name, value);
        return kept !== undefined;
      }) ?? false
    );
  }

  /** Moves values from memory to the storage, as far as there is room. */
  function empty() {
    for (const [name, value] of memory) {
      if (!write(name, value)) return;
      memory.delete(name);
    }
  }

  /** @param {string} name */
  function remove(name) {
    memory.delete(name);
    attempt(() => browser()?.removeItem(name));
    empty();
  }

  /** @param {string} prefix @returns {string[]} */
  function names(prefix) {
    const all = new Set([...(attempt(() => Object.keys(browser() ?? {})) ?? []), ...memory.keys()]);
    return [...all].filter((name) => name.startsWith(prefix)).sort();
  }

  return {
    /** Whether all values survive the page: none is in memory alone. */
    get isPersistent() {
      return browser() !== undefined && memory.size === 0;
    },

    /**
     * Returns a value, or `undefined` if there is none.
     *
     * @param {string} name
     * @returns {string | undefined}
     */
    get(name) {
      return memory.get(name) ?? attempt(() => browser()?.getItem(name)) ?? undefined;
    },

    /**
     * Stores a value, in memory if there is no room. Other tabs then still read its older value.
     *
     * @param {string} name
     * @param {string} value
     */
    set(name, value) {
      memory.delete(name);
      empty();
      if (!write(name, value)) memory.set(name, value);
    },

    /** Removes a value. Does nothing if there is none. */
    remove,

    /** Returns the names that begin with a prefix, in order. */
    names,

    /** Removes all values whose names begin with a prefix. @param {string} prefix */
    clear(prefix) {
      for (const name of names(prefix)) remove(name);
    },
  };
}

/**
 * Returns the result of a call, or `undefined` if it throws: browsers throw when a storage is full or
 * forbidden.
 *
 * @template Value
 * @param {() => Value} use
 * @returns {Value | undefined}
 */
function attempt(use) {
  try {
    return use();
  } catch {
    return undefined;
  }
}

/** The storage that all tabs of the browser share. */
export const storage = createStorage(() => localStorage);

/** The storage of one tab, which survives reloads. */
export const tabStorage = createStorage(() => sessionStorage);
