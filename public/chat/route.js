import { addressIn } from './address.js';
import { say } from './notice.js';

/** The conversation that is open: the URL of the page names it in its hash, so that the way back leads to the one before. */
export class Route {
  /** @param {() => void} onChange another one is open, or none */
  constructor(onChange) {
    addEventListener('hashchange', () => {
      this.check();
      onChange();
    });
  }

  /** Tells the person if the URL of the page names nobody. */
  check() {
    const isFault = location.hash.length > 1 && this.peer === undefined;
    if (isFault) say('The address of this page names no conversation: the part after “#” is not a name.');
  }

  /** With whom; `undefined` if none is open. */
  get peer() {
    return addressIn(location.hash);
  }

  /** Opens a conversation. @param {string} peer */
  open(peer) {
    location.hash = `#${encodeURIComponent(peer)}`;
  }

  /** Closes a conversation. Does nothing if another is open. @param {string} peer */
  close(peer) {
    if (this.peer === peer) location.hash = '';
  }

  /** Closes what is open; the way back does not lead to it. */
  forget() {
    location.replace('#');
  }
}
