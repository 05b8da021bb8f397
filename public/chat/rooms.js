import { storage } from '../client/storage.js';

/** @import { Api } from './api.js' */

/** The rooms that a person has joined, stored in this browser. The service knows how far they are read. */
export class Rooms {
  #name;
  /** The rooms at the last look, or after the last change that was made here. */
  #known = '';

  /** @param {Api} api @param {string} me */
  constructor(api, me) {
    this.#name = api.keptName(`rooms:${me}`);
  }

  /** Calls back when rooms were joined or left in another window. @param {() => void} onChange */
  watch(onChange) {
    this.#known = this.joined.join();
    addEventListener('storage', ({ key }) => {
      if (key !== this.#name && key !== null) return;
      const now = this.joined.join();
      if (now === this.#known) return;
      this.#known = now;
      onChange();
    });
  }

  /** @returns {string[]} */
  get joined() {
    return Object.keys(this.#kept);
  }

  /** @param {string} room */
  has(room) {
    return Object.hasOwn(this.#kept, room);
  }

  /** @param {string} room */
  join(room) {
    if (!this.has(room)) this.#keep({ ...this.#kept, [room]: 0 });
  }

  /** @param {string} room */
  leave(room) {
    const rooms = this.#kept;
    this.#keep(Object.fromEntries(Object.entries(rooms).filter(([one]) => one !== room)));
  }

  /**
   * The joined rooms. The values mean nothing: earlier versions of this page stored there how far each was
   * read.
   *
   * @returns {Record<string, number>}
   */
  get #kept() {
    /** @type {unknown} */
    const kept = JSON.parse(storage.get(this.#name) ?? '{}');
    return /** @type {Record<string, number>} */ (kept);
  }

  /** @param {Record<string, number>} rooms */
  #keep(rooms) {
    storage.set(this.#name, JSON.stringify(rooms));
    // A window is not told about its own changes.
    this.#known = this.joined.join();
  }
}
