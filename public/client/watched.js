/** @import { Presence } from './feed.js' */
/** @import { Frame } from './stream.js' */

/** As many as a stream takes. */
const MOST = 100;

/** Whose presence the tabs of a browser want to be told, and what is known of it. */
export class Watched {
  /** @type {readonly string[]} */
  #own;
  /** Each other tab's wish, the newest last. @type {Map<string, readonly string[]>} */
  #others = new Map();
  /** The newest frame of each address, for those that ask for it later. @type {Map<string, Frame>} */
  #known = new Map();
  /** What this page was told of each address. @type {Map<string, string>} */
  #told = new Map();
  #onPresence;

  /**
   * @param {readonly string[]} own
   * @param {(frame: Frame) => void} onPresence tells this page, of what it wants, what it was not told before
   */
  constructor(own, onPresence) {
    this.#own = own;
    this.#onPresence = onPresence;
  }

  /** What this page wants. */
  get own() {
    return this.#own;
  }

  /** What all tabs want: of too many, those that were asked for last. */
  get all() {
    const wishes = [this.#own, ...[...this.#others.values()].reverse()];
    return [...new Set(wishes.flat())].slice(0, MOST);
  }

  /** What is known. */
  get known() {
    return [...this.#known.values()];
  }

  /** This page wants others. @param {readonly string[]} own */
  want(own) {
    this.#own = own;
    for (const address of this.#told.keys()) if (!own.includes(address)) this.#told.delete(address);
    for (const frame of this.known) this.#tell(frame);
  }

  /** @param {string} tab @param {readonly string[]} wish */
  hear(tab, wish) {
    this.#others.delete(tab);
    if (wish.length > 0) this.#others.set(tab, wish);
  }

  /** What other tabs want is asked for anew: some of them are gone. */
  forgetOthers() {
    this.#others.clear();
  }

  /** @param {Frame} frame one with the event `presence` */
  take(frame) {
    this.#known.set(presenceIn(frame).recipient, frame);
    this.#tell(frame);
  }

  /** Takes all that is known to the tab that has the stream. @param {readonly Frame[]} frames */
  takeAll(frames) {
    this.#known.clear();
    for (const frame of frames) this.take(frame);
  }

  /** A new stream tells all that is watched; what it does not tell would grow old. */
  forgetKnown() {
    this.#known.clear();
  }

  /** @param {Frame} frame */
  #tell(frame) {
    const { recipient, online, lastSeen } = presenceIn(frame);
    // Each new stream tells it anew: of who is online all along nothing has changed.
    const state = online ? 'online' : String(lastSeen);
    if (!this.#own.includes(recipient) || this.#told.get(recipient) === state) return;
    this.#told.set(recipient, state);
    this.#onPresence(frame);
  }
}

/** @param {Frame} frame */
function presenceIn({ data }) {
  /** @type {unknown} */
  const presence = JSON.parse(data);
  return /** @type {Presence} */ (presence);
}
