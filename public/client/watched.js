/** @import { Presence } from './feed.js' */
/** @import { Frame } from './stream.js' */

/** The most addresses that a stream watches. */
const MOST = 100;

/**
 * Creates the list of addresses whose presence the tabs of a browser want, with the presence that is known.
 *
 * @param {readonly string[]} own the addresses that this page wants
 * @param {(presence: Presence) => void} onPresence tells this page what has changed for its addresses
 */
export function createWatched(own, onPresence) {
  /** The addresses that each other tab wants, the newest wish last. @type {Map<string, readonly string[]>} */
  const others = new Map();
  /** The newest frame of each address, for tabs that want it later. @type {Map<string, Frame>} */
  const known = new Map();
  /** The presence that this page was told, by address. @type {Map<string, true | string | null>} */
  const told = new Map();

  /** @param {Frame} frame a `presence` frame */
  function take(frame) {
    /** @type {unknown} */
    const data = JSON.parse(frame.data);
    const presence = /** @type {Presence} */ (data);
    const { recipient, online, lastSeen } = presence;
    known.set(recipient, frame);
    // Each new stream tells all presence again. Skip it if it has not changed.
    const state = online || lastSeen;
    if (!own.includes(recipient) || told.get(recipient) === state) return;
    told.set(recipient, state);
    onPresence(presence);
  }

  return {
    /** The addresses that this page wants. */
    get own() {
      return own;
    },

    /** The addresses that all tabs want; if there are too many, the ones asked for last. */
    get all() {
      return [...new Set([...others.values(), own].reverse().flat())].slice(0, MOST);
    },

    /** The frames of all known presence. */
    get known() {
      return [...known.values()];
    },

    /** Replaces the addresses that this page wants. @param {readonly string[]} addresses */
    want(addresses) {
      own = addresses;
      for (const address of told.keys()) if (!own.includes(address)) told.delete(address);
      known.forEach(take);
    },

    /** Replaces the addresses that another tab wants. @param {string} tab @param {readonly string[]} wish */
    hear(tab, wish) {
      others.delete(tab);
      if (wish.length > 0) others.set(tab, wish);
    },

    /** Forgets what other tabs want: some tabs are gone, and the others are asked again. */
    forgetOthers() {
      others.clear();
    },

    take,

    /**
     * Replaces the known presence by that of the tab that has the stream. Without frames, for a new stream:
     * it tells the presence of all watched addresses, and anything else would become outdated.
     *
     * @param {readonly Frame[]} [frames]
     */
    renew(frames = []) {
      known.clear();
      frames.forEach(take);
    },
  };
}
