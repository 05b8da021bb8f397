import { notGot } from './errors.js';

/** @typedef {ReturnType<typeof createCredential<string>>} Token */

/**
 * Returns a credential that a function of the page gets, a token or a session. All who need it share one call of the function.
 *
 * @template Value
 * @param {string} name what it is, for a person
 * @param {() => Value | Promise<Value>} get
 * @param {boolean} isKept whether it is kept here once it is got; if not, the function is called again when one is needed next
 */
export function createCredential(name, get, isKept) {
  /** Another one for each call. It says which token was refused. */
  let version = 0;
  /** @type {Promise<Value> | undefined} */
  let newest;

  function ask() {
    const own = ++version;
    const forgetOwn = () => {
      if (own === version) newest = undefined;
    };
    // It may throw at once, too.
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
   * Returns the credential, which is got if there is none, and no call is under way.
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
     * Gets another one, unless that has been done since the one that was refused.
     *
     * @param {number} refused its version
     * @throws {Unreachable} if the page's function fails
     */
    renew(refused) {
      return refused === version ? ask() : value();
    },

    /** Has another one got when one is needed next, though a call is under way: it may never settle. */
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
