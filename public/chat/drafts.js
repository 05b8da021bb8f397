import { storage } from '../client/storage.js';

/** @import { Api } from './api.js' */

/** Messages that were begun, by their recipient, kept in the browser until it is sent or taken back. */
export class Drafts {
  #api;
  #me;

  /** @param {Api} api @param {string} me */
  constructor(api, me) {
    this.#api = api;
    this.#me = me;
  }

  /** @param {string} peer @returns {string} empty if nothing was begun */
  get(peer) {
    return storage.get(this.#nameOf(peer)) ?? '';
  }

  /** @param {string} peer @param {string} text */
  keep(peer, text) {
    if (text === '') storage.remove(this.#nameOf(peer));
    else storage.set(this.#nameOf(peer), text);
  }

  /** @param {string} peer */
  #nameOf(peer) {
    return this.#api.keptName(`draft:${JSON.stringify(this.#me)}:${peer}`);
  }
}
