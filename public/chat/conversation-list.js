import { arrange, avatar, make, setText } from './dom.js';
import { momentOf, shortly } from './times.js';

/** @import { Chat } from './chat.js' */

/** How many rows beyond the view are in the document, at each end. */
const SPARE = 40;

/** A row's height in `rem`, as the style sheet has it. */
const ROW_REM = 3.9;

/**
 * The rows of the conversations. Only the rows in view and the focused one are in the document; a row's
 * number gives its place.
 */
export class ConversationList {
  #list;
  #onChoose;
  /** @type {readonly Chat[]} */
  #chats = [];
  /** @type {string | undefined} */
  #open;
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** The person whose row the Tab key reaches. @type {string | undefined} */
  #current;
  #rowHeight = 0;
  #first = 0;
  #count = 0;

  /**
   * @param {HTMLUListElement} list
   * @param {(peer: string) => void} onChoose
   */
  constructor(list, onChoose) {
    this.#list = list;
    this.#onChoose = onChoose;
    list.addEventListener('scroll', () => this.#look());
    new ResizeObserver(() => this.#look()).observe(list);
    list.addEventListener('focusin', ({ target }) => {
      const { key } = /** @type {HTMLElement} */ (target).closest('li')?.dataset ?? {};
      if (key === undefined || key === this.#current) return;
      this.#current = key;
      this.#draw();
    });
  }

  /**
   * @param {readonly Chat[]} chats in their order
   * @param {string | undefined} open whose conversation is shown
   */
  show(chats, open) {
    this.#chats = chats;
    this.#open = open;
    setProperty(this.#list, '--rows', String(chats.length));
    this.#draw();
  }

  /**
   * Moves the focus this many rows further.
   *
   * @param {number} step negative for up
   * @returns {boolean} whether there is one
   */
  step(step) {
    const focused = this.#list.contains(document.activeElement);
    const at = focused ? this.#chats.findIndex(({ peer }) => peer === this.#current) : -1;
    const index = at + step;
    const chat = this.#chats[index];
    if (chat === undefined) return false;
    this.#current = chat.peer;
    const { scrollTop, clientHeight } = this.#list;
    const top = index * this.#rowHeight;
    this.#list.scrollTop = Math.min(top, Math.max(scrollTop, top + this.#rowHeight - clientHeight));
    this.#look();
    this.#draw();
    this.#rows.get(chat.peer)?.focus();
    return true;
  }

  /** Finds out which rows are in view: when that may have changed, not whenever rows are drawn. */
  #look() {
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.#rowHeight = ROW_REM * rem;
    const first = Math.max(0, Math.floor(this.#list.scrollTop / this.#rowHeight) - SPARE);
    const count = Math.ceil(this.#list.clientHeight / this.#rowHeight) + 2 * SPARE;
    if (first === this.#first && count === this.#count) return;
    this.#first = first;
    this.#count = count;
    this.#draw();
  }

  #draw() {
    const last = this.#first + Math.max(this.#count, SPARE);
    const current = this.#current ?? this.#open ?? this.#chats[0]?.peer;
    /** @type {Map<string, number>} */
    const places = new Map();
    for (const [index, { peer }] of this.#chats.entries())
      if ((index >= this.#first && index < last) || peer === current) places.set(peer, index);
    arrange(this.#list, [...places.keys()], (peer) => {
      const row = new Row(peer, () => this.#onChoose(peer));
      this.#rows.set(peer, row);
      return row.item;
    });
    for (const [peer, row] of this.#rows) {
      const index = places.get(peer);
      const chat = index === undefined ? undefined : this.#chats[index];
      if (index === undefined || chat === undefined) this.#rows.delete(peer);
      else
        row.show(chat, index, this.#chats.length, { isOpen: peer === this.#open, isStop: peer === current });
    }
  }
}

/** One conversation in the list. */
class Row {
  #button = make('button', { type: 'button', class: 'row' });
  #last = make('span', { class: 'last', dir: 'auto' });
  #time = make('time', { class: 'when' });
  #unread = make('span', { class: 'badge', role: 'img', hidden: '' });
  #dot = make('span', { class: 'dot', hidden: '' }, make('span', { class: 'unseen' }, 'online'));

  /**
   * @param {string} peer
   * @param {() => void} onChoose
   */
  constructor(peer, onChoose) {
    const sign = make('span', { class: 'sign' }, avatar(peer), this.#dot);
    const name = make('bdi', { class: 'name', title: peer }, peer);
    this.#button.append(sign, name, this.#time, this.#last, this.#unread);
    this.#button.addEventListener('click', onChoose);
    this.item = make('li', {}, this.#button);
  }

  focus() {
    this.#button.focus();
  }

  /**
   * @param {Chat} chat
   * @param {number} index its place in the list
   * @param {number} size the number of conversations
   * @param {{ isOpen: boolean, isStop: boolean }} marks `isStop`: whether the Tab key reaches it
   */
  show({ lastMessage, unread, online, isRoom, typists }, index, size, { isOpen, isStop }) {
    setProperty(this.item, '--index', String(index));
    setAttribute(this.item, 'aria-posinset', String(index + 1));
    setAttribute(this.item, 'aria-setsize', String(size));
    setAttribute(this.#button, 'tabindex', isStop ? '0' : '-1');
    setAttribute(this.#button, 'aria-current', isOpen ? 'true' : undefined);
    const said = lastMessage === undefined ? 'No messages yet' : textOf(lastMessage.content);
    const text = isRoom && lastMessage !== undefined ? `${lastMessage.sender}: ${said}` : said;
    setText(this.#last, typists.length > 0 ? 'typing…' : text.slice(0, 200).toWellFormed());
    setText(this.#time, lastMessage === undefined ? '' : shortly(lastMessage.createdAt));
    setAttribute(this.#time, 'title', lastMessage && momentOf(lastMessage.createdAt));
    setText(this.#unread, unread > 999 ? '999+' : String(unread));
    setAttribute(this.#unread, 'aria-label', `${unread} unread`);
    setAttribute(this.#unread, 'hidden', unread === 0 ? '' : undefined);
    setAttribute(this.#dot, 'hidden', online ? undefined : '');
  }
}

/** @param {unknown} content */
function textOf(content) {
  return typeof content === 'string' ? content : JSON.stringify(content);
}

/** @param {HTMLElement} target @param {string} name @param {string} value */
function setProperty(target, name, value) {
  if (target.style.getPropertyValue(name) !== value) target.style.setProperty(name, value);
}

/**
 * @param {HTMLElement} target
 * @param {string} name
 * @param {string | undefined} value `undefined` removes it
 */
function setAttribute(target, name, value) {
  if (value === undefined) target.removeAttribute(name);
  else if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}
