import { element } from './dom.js';
import { copyText, Frames } from './frames.js';

/** @import { Frame } from '../client/stream.js' */
/** @import { Api } from './api.js' */

/** On a small screen the drawer covers the whole page. */
const covers = matchMedia('(width < 48rem)');

/** The drawer with the raw stream, and the command that shows the same in a terminal. */
export class Drawer {
  #api;
  #isOpen;
  #drawer = element('frames', HTMLElement);
  #toggle = element('frames-toggle', HTMLButtonElement);
  #close = element('frames-close', HTMLButtonElement);
  #frames = new Frames({
    box: element('frames-box', HTMLElement),
    list: element('frames-list', HTMLOListElement),
    filter: element('frames-filter', HTMLInputElement),
    pause: element('frames-pause', HTMLButtonElement),
    clear: element('frames-clear', HTMLButtonElement),
    copy: element('frames-copy', HTMLButtonElement),
  });

  /**
   * @param {Api} api
   * @param {boolean} isOpen whether the service has no key, so that anybody may use any name
   */
  constructor(api, isOpen) {
    this.#api = api;
    this.#isOpen = isOpen;
    // `hidden` may also be 'until-found', which is not used here.
    this.#toggle.addEventListener('click', () => this.#show(this.#drawer.hidden !== false));
    this.#close.addEventListener('click', () => this.#show(false));
    covers.addEventListener('change', () => this.#cover());
    this.#drawer.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.#show(false);
    });
    const copy = element('curl-copy', HTMLButtonElement);
    copy.addEventListener('click', () => void copyText(element('curl', HTMLElement).textContent, copy));
  }

  /** @param {Frame} frame */
  add(frame) {
    this.#frames.add(frame);
  }

  /**
   * Shows the command for the stream of these inboxes.
   *
   * @param {readonly string[]} inboxes
   * @param {readonly string[]} watched the addresses whose presence the stream tells
   */
  showCommand(inboxes, watched) {
    /** @type {[string, string][]} */
    const query = inboxes.map((address) => ['recipient', address]);
    for (const address of watched) query.push(['presence', address]);
    const token = this.#isOpen ? '' : ' -H "Authorization: Bearer $TOKEN"';
    // Encode the character that ends a quoted word of the shell. A query has it encoded; a path may not.
    const url = this.#api.url('stream', query).replaceAll("'", '%27');
    element('curl', HTMLElement).textContent = `curl -N${token} '${url}'`;
  }

  /** @param {boolean} shown */
  #show(shown) {
    this.#drawer.hidden = !shown;
    this.#toggle.setAttribute('aria-expanded', String(shown));
    this.#cover();
    if (shown) this.#frames.toEnd();
    (shown ? this.#close : this.#toggle).focus();
  }

  #cover() {
    const isCovered = covers.matches && !this.#drawer.hidden;
    for (const part of this.#drawer.parentElement?.children ?? [])
      if (part !== this.#drawer) part.toggleAttribute('inert', isCovered);
  }
}
