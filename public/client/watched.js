/** @import { Presence } from './feed.js' */
/** @import { Frame } from './stream.js' */

/** As many as a stream takes. */
const MOST = 100;

/**
 * Returns whose presence the tabs of a browser want to be told, and what is known of it.
 *
 * @param {readonly string[]} own what this page wants
 * @param {(presence: Presence) => void} onPresence tells this page, of what it wants, what it was not told before
 */
export function createWatched(own, onPresence) {
  /** Each other tab's wish, the newest last. @type {Map<string, readonly string[]>} */
  const others = new Map();
  /** The newest frame of each address, for those that ask for it later. @type {Map<string, Frame>} */
  const known = new Map();
  /** The presence that this page was told, by address. @type {Map<string, true | string | null>} */
  const told = new Map();

  /** @param {Frame} frame one with the event `presence` */
  function take(frame) {
    /** @type {unknown} */
    const data = JSON.parse(frame.data);
    const presence = /** @type {Presence} */ (data);
    const { recipient, online, lastSeen } = presence;
    known.set(recipient, frame);
    // Each new stream tells it again: nothing has changed for those who stayed online.
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

    /** The addresses that all tabs want. If they are too many, those that were asked for last. */
    get all() {
      return [...new Set([...others.values(), own].reverse().flat())].slice(0, MOST);
    },

    /** The frames of all that is known. */
    get known() {
      return [...known.values()];
    },

    /** This page wants others. @param {readonly string[]} addresses */
    want(addresses) {
      own = addresses;
      for (const address of told.keys()) if (!own.includes(address)) told.delete(address);
      known.forEach(take);
    },

    /** Another tab wants these. @param {string} tab @param {readonly string[]} wish */
    hear(tab, wish) {
      others.delete(tab);
      if (wish.length > 0) others.set(tab, wish);
    },

    /** Forgets what other tabs want: some of them are gone. The others are asked again. */
    forgetOthers() {
      others.clear();
    },

    take,

    /**
     * Takes all that is known to the tab that has the stream, and forgets the rest. Without frames: a new stream tells all that is
     * watched; what it does not tell would grow old.
     *
     * @param {readonly Frame[]} [frames]
     */
    renew(frames = []) {
      known.clear();
      frames.forEach(take);
    },
  };
}
