import { Problem } from '../client.js';
import { Backoff } from '../client/backoff.js';

/** @import { Api } from './api.js' */

/**
 * Whose presence one may see. A stream is refused as a whole where it asks for one that its token does not allow, and
 * nothing but a try says what it allows.
 */
export class Sight {
  #api;
  #isOpen;
  /** @type {Map<string, boolean>} */
  #known = new Map();
  /** @type {readonly string[]} */
  #watched = [];
  #wanted = '';
  /** Whether the service has said of all of them. */
  #isSure = true;
  #hasSession = true;
  #backoff = new Backoff();

  /**
   * @param {Api} api
   * @param {boolean} isOpen whether the service has no key, so that everybody sees everybody
   */
  constructor(api, isOpen) {
    this.#api = api;
    this.#isOpen = isOpen;
  }

  /** What one may see may be another with another token. */
  forget() {
    this.#known.clear();
    this.#wanted = '';
  }

  /** The service can be reached again: what it could not say before is asked again. */
  retry() {
    if (!this.#isSure) this.#wanted = '';
  }

  /** Those that are to be watched. */
  get watched() {
    return this.#watched;
  }

  /**
   * Finds out who of these is to be watched.
   *
   * @param {readonly string[]} addresses at most 100
   * @returns {Promise<boolean>} whether `watched` is another now
   */
  async turnTo(addresses) {
    const wanted = JSON.stringify([...addresses].sort());
    if (wanted === this.#wanted) return false;
    this.#wanted = wanted;
    const watched = this.#isOpen ? [...addresses] : await this.#allowed(addresses);
    if (wanted !== this.#wanted) return false;
    this.#isSure = this.#isOpen || addresses.every((address) => this.#known.has(address));
    if (this.#isSure) this.#backoff.reset();
    // Without a session there is no answer, however often it is asked.
    else if (this.#hasSession) setTimeout(() => this.retry(), this.#backoff.next());
    this.#watched = watched;
    return true;
  }

  /** @param {readonly string[]} addresses */
  async #allowed(addresses) {
    const news = addresses.filter((address) => !this.#known.has(address));
    if (news.length > 0 && !(await this.#try(news))) for (const address of news) await this.#try([address]);
    return addresses.filter((address) => this.#known.get(address) === true);
  }

  /** @param {readonly string[]} addresses @returns {Promise<boolean>} whether all of them may be seen */
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
      // Where nothing answers, asking for each alone answers nothing either.
      return !refused;
    }
  }
}
