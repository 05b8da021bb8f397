import { tabStorage } from '../client/storage.js';

/** @import { Api } from './api.js' */

/** A place in a conversation: the topmost message in view, and how far its top is from that of the view, in pixels. @typedef {{ id: number, top: number }} Place */

/** The place at which one was in each conversation, kept while the tab is there, over reloads. */
export class Places {
  #api;

  /** @param {Api} api */
  constructor(api) {
    this.#api = api;
  }

  /** @param {string} peer @returns {Place | undefined} `undefined`: at the end */
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
