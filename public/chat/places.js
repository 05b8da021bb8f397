import { tabStorage } from '../client/storage.js';

/** @import { Api } from './api.js' */

/**
 * A place in a conversation: the topmost message in view, and how many pixels below the top of the view it
 * is.
 *
 * @typedef {{ id: number, top: number }} Place
 */

/** The reader's place in each conversation, stored as long as the tab is there, across reloads. */
export class Places {
  #api;

  /** @param {Api} api */
  constructor(api) {
    this.#api = api;
  }

  /** @param {string} peer @returns {Place | undefined} `undefined` for the end */
  get(peer) {
    /** @type {unknown} */
    const place = JSON.parse(tabStorage.get(this.#nameOf(peer)) ?? 'null');
    return /** @type {Place | null} */ (place) ?? undefined;
  }

  /** @param {string} peer @param {Place | undefined} place */
  keep(peer, place) {
    if (place === undefined) tabStorage.remove(this.#nameOf(peer));
    else tabStorage.set(this.#nameOf(peer), JSON.stringify(place));
  }

  /** @param {string} peer */
  #nameOf(peer) {
    return this.#api.keptName(`place:${peer}`);
  }
}
