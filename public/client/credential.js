import { notGot } from './errors.js';

/** @typedef {ReturnType<typeof createCredential<string>>} Token */

/**
 * Returns a credential, a token or a session, that a function of the page gets. All who need it share one
 * call of the function.
 *
 * @template Value
 * @param {string} name what it is, for messages
 * @param {() => Value | Promise<Value>} get
 * @param {boolean} isKept whether to keep it here; if not, the function is called again for the next use
 */
export function createCredential(name, get, isKept) {
  /** The number of the newest call: tells which token was refused. */
  let version = 0;
  /** @type {Promise<Value> | undefined} */
  let newest;

  function ask() {
    const own = ++version;
    const forgetOwn = () => {
      if (own === version) newest = undefined;
    };
    // The function may also throw before it returns a promise.
    const asked = (async () => get())();
    newest = asked.then(
      (value) => {
        if (!isKept) forgetOwn();
        return value;
      },
      (/** @type {unknown} */ error) => {
        forgetOwn();
        throw notGot(name, error);
      },
    );
    return newest;
  }

  /**
   * Returns the credential. Gets it if there is none, and no call is under way.
   *
   * @throws {Unreachable} if the page's function fails
   */
  function value() {
    return newest ?? ask();
  }

  return {
    get version() {
      return version;
    },

    value,

    /**
     * Gets another credential, unless that was done since the refused one.
     *
     * @param {number} refused the version of the refused one
     * @throws {Unreachable} if the page's function fails
     */
    renew(refused) {
      return refused === version ? ask() : value();
    },

    /**
     * Forgets the credential, and a call under way, which may never settle: the next use makes a new call.
     */
    forget() {
      newest = undefined;
    },
  };
}

/**
 * Returns the token of a page or program that has no session cookie.
 *
 * @param {() => string | Promise<string>} get
 * @returns {Token}
 */
export function createToken(get) {
  const getChecked = async () => {
    const token = await get();
    if (typeof token !== 'string' || !/^[!-~]+$/.test(token))
      throw new TypeError('"token" must return a text without spaces');
    return token;
  };
  return createCredential('token', getChecked, true);
}
