import { storage } from '../client/storage.js';

/** @import { Api } from './api.js' */

/** Unfinished messages, by recipient, stored in the browser until they are sent or deleted. */
export class Drafts {
  #api;
  #me;

  /** @param {Api} api @param {string} me */
  constructor(api, me) {
    this.#api = api;
    this.#me = me;
  }

  /** @param {string} peer @returns {string} empty if there is none */
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
