import { storage } from '../client/storage.js';

/** The rooms that a person has joined: kept in this browser. How far one has read in them the service knows. */
export class Rooms {
  #name;

  /** @param {string} me */
  constructor(me) {
    this.#name = `tidings:chat:rooms:${me}`;
  }

  /** Tells when other rooms were joined or left in another window. @param {() => void} onChange */
  watch(onChange) {
    let before = this.joined.join();
    addEventListener('storage', ({ key }) => {
      if (key !== this.#name && key !== null) return;
      const now = this.joined.join();
      if (now !== before) onChange();
      before = now;
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
   * The values say nothing: earlier versions of this page kept there how far one has read.
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
  }
}
