import { addressIn } from './address.js';
import { say } from './notice.js';

/** The open conversation. The hash of the page's URL names it, so the back button leads to the one before. */
export class Route {
  /** @param {() => void} onChange called when another conversation is open, or none */
  constructor(onChange) {
    addEventListener('hashchange', () => {
      this.check();
      onChange();
    });
  }

  /** Tells the person if the URL of the page names nobody. */
  check() {
    const isFault = location.hash.length > 1 && this.peer === undefined;
    if (isFault)
      say('The address of this page does not lead to a conversation: the part after “#” is not a name.');
  }

  /** The address of the open conversation; `undefined` if none is open. */
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

  /** Closes the open conversation, so that the back button does not lead to it. */
  forget() {
    location.replace('#');
  }
}
