import { Problem } from '../client.js';
import { backoff, spread } from '../client/backoff.js';

/** @import { Api } from './api.js' */

/**
 * The addresses whose presence this person may see. A stream is refused if its token does not allow one of
 * the addresses that it watches, and only a try shows which ones are allowed.
 */
export class PresenceAccess {
  #api;
  #isOpen;
  #onRetry;
  /** @type {Map<string, boolean>} */
  #known = new Map();
  /** @type {readonly string[]} */
  #watched = [];
  #wanted = '';
  /** Whether the service has answered for all addresses. */
  #isSure = true;
  #hasSession = true;
  /** The number of tries in a row without an answer for all addresses. */
  #tries = 0;

  /**
   * @param {Api} api
   * @param {boolean} isOpen whether the service has no key, so that everybody may see everybody
   * @param {() => void} onRetry called when it is time to call `turnTo` again
   */
  constructor(api, isOpen, onRetry) {
    this.#api = api;
    this.#isOpen = isOpen;
    this.#onRetry = onRetry;
  }

  /** Forgets all answers, because a new token may allow other addresses. */
  forget() {
    this.#known.clear();
    this.#wanted = '';
  }

  /** Asks again, if the service has not answered for all addresses. Call it when the service is back. */
  retry() {
    if (this.#isSure) return;
    this.#wanted = '';
    this.#onRetry();
  }

  /** The addresses to watch. */
  get watched() {
    return this.#watched;
  }

  /**
   * Finds out which of these addresses to watch.
   *
   * @param {readonly string[]} addresses at most 100
   * @returns {Promise<boolean>} whether `watched` has changed
   */
  async turnTo(addresses) {
    const wanted = JSON.stringify([...addresses].sort());
    if (wanted === this.#wanted) return false;
    this.#wanted = wanted;
    const watched = this.#isOpen ? [...addresses] : await this.#allowed(addresses);
    if (wanted !== this.#wanted) return false;
    this.#isSure = this.#isOpen || addresses.every((address) => this.#known.has(address));
    if (this.#isSure) this.#tries = 0;
    // Without a session, asking again does not help.
    else if (this.#hasSession) setTimeout(() => this.retry(), spread(backoff(this.#tries++)));
    this.#watched = watched;
    return true;
  }

  /** @param {readonly string[]} addresses */
  async #allowed(addresses) {
    const untried = addresses.filter((address) => !this.#known.has(address));
    if (untried.length > 0 && !(await this.#try(untried)))
      for (const address of untried) await this.#try([address]);
    return addresses.filter((address) => this.#known.get(address) === true);
  }

  /**
   * @param {readonly string[]} addresses
   * @returns {Promise<boolean>} whether they need not be tried one by one
   */
  async #try(addresses) {
    try {
      await this.#api.presence(addresses);
      for (const address of addresses) this.#known.set(address, true);
      return true;
    } catch (error) {
      const [only] = addresses;
      const refused = error instanceof Problem && error.status === 403;
      this.#hasSession = !(error instanceof Problem && error.status === 401);
      if (refused && addresses.length === 1 && only !== undefined) this.#known.set(only, false);
      // If the service does not answer for all, it does not answer for each alone either.
      return !refused;
    }
  }
}
