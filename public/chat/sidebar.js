import { addressFault } from './address.js';
import { isRoom } from './chat.js';
import { isComposing } from './composer.js';
import { ConversationList } from './conversation-list.js';
import { element, isolated, setHidden, setText } from './dom.js';

/** @import { Chat } from './chat.js' */

/** The conversations, and the field for finding one of them or naming a new one. */
export class Sidebar {
  #list;
  #search = element('search', HTMLInputElement);
  #start = element('start', HTMLButtonElement);
  #hint = element('sidebar-hint', HTMLElement);
  #answer = element('search-answer', HTMLElement);
  #onOpen;
  /** @type {readonly Chat[]} */
  #chats = [];
  /** @type {string | undefined} */
  #open;

  /**
   * @param {{ onOpen: (peer: string) => void, onLeave: () => void }} events `onLeave`: the person leaves the
   *   search
   */
  constructor({ onOpen, onLeave }) {
    const list = element('conversations', HTMLUListElement);
    const search = this.#search;
    this.#list = new ConversationList(list, (peer) => this.#choose(peer));
    this.#onOpen = onOpen;
    search.addEventListener('input', () => {
      this.say('');
      this.#draw();
    });
    search.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || isComposing(event)) return;
      event.preventDefault();
      this.#choose(this.#meant);
    });
    this.#start.addEventListener('click', () => this.#choose(this.#sought));
    for (const part of /** @type {HTMLElement[]} */ ([search, list]))
      part.addEventListener('keydown', (event) => {
        if (isComposing(event)) return;
        if (event.key === 'Escape') {
          search.value = '';
          this.say('');
          this.#draw();
          onLeave();
        } else {
          this.#step(event);
        }
      });
  }

  /** Moves the focus to the search. */
  search() {
    this.#search.focus();
    this.#search.select();
  }

  /** Says why something could not be done. @param {string} sentence */
  say(sentence) {
    setText(this.#answer, sentence);
  }

  /** Moves between the field and the conversations with the arrow keys. @param {KeyboardEvent} event */
  #step(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    if (this.#list.step(step)) event.preventDefault();
    else if (step === -1 && event.target !== this.#search) this.search();
  }

  /**
   * @param {readonly Chat[]} chats in order
   * @param {string | undefined} open the open conversation
   */
  show(chats, open) {
    this.#chats = chats;
    this.#open = open;
    this.#draw();
  }

  get #sought() {
    return this.#search.value.trim().normalize('NFC');
  }

  get #found() {
    const sought = this.#sought.toLocaleLowerCase();
    return this.#chats.filter(({ peer }) => peer.toLocaleLowerCase().includes(sought));
  }

  /** The person that Enter leads to: with this name, else with a name that begins with it, else a new one. */
  get #meant() {
    const sought = this.#sought;
    const isStart = (/** @type {Chat} */ { peer }) =>
      peer.toLocaleLowerCase().startsWith(sought.toLocaleLowerCase());
    if (sought === '' || this.#chats.some(({ peer }) => peer === sought)) return sought;
    return this.#found.find(isStart)?.peer ?? sought;
  }

  /** @param {string} peer */
  #choose(peer) {
    if (peer === '') return;
    const fault = addressFault(peer);
    this.say(fault ?? '');
    if (fault !== undefined) return;
    this.#search.value = '';
    this.#onOpen(peer);
    this.#draw();
  }

  #draw() {
    const found = this.#found;
    this.#list.show(found, this.#open);
    const sought = this.#sought;
    const isKnown = found.some(({ peer }) => peer === sought);
    setHidden(this.#start, sought === '' || isKnown);
    setText(this.#start, isRoom(sought) ? `Join ${sought}` : `Write to ${sought}`);
    setHidden(this.#hint, this.#chats.length > 0 || sought !== '');
    const alike = isKnown ? undefined : found.find(({ peer }) => isAlike(peer, sought));
    if (alike !== undefined)
      this.say(`You already have ${isolated(alike.peer)} here: ${isolated(sought)} would be somebody else.`);
  }
}

/** Returns whether two names differ only in case. @param {string} one @param {string} other */
function isAlike(one, other) {
  return one !== other && one.toLocaleLowerCase() === other.toLocaleLowerCase();
}
