import { addressFault } from './address.js';
import { isRoom } from './chats.js';
import { isComposing } from './composer.js';
import { arrange, avatar, make } from './dom.js';
import { momentOf, shortly } from './times.js';

/** @import { Chat } from './chats.js' */

/** The list of conversations: newest first, searched by name. */
export class Sidebar {
  #list;
  #search;
  #start;
  #hint;
  #answer;
  #onOpen;
  /** @type {readonly Chat[]} */
  #chats = [];
  /** @type {string | undefined} */
  #open;
  /** @type {Map<string, Row>} */
  #rows = new Map();

  /**
   * @param {{ list: HTMLUListElement, search: HTMLInputElement, start: HTMLButtonElement, hint: HTMLElement,
   *   answer: HTMLElement }} parts
   * @param {(peer: string) => void} onOpen
   */
  constructor({ list, search, start, hint, answer }, onOpen) {
    this.#list = list;
    this.#search = search;
    this.#start = start;
    this.#hint = hint;
    this.#answer = answer;
    this.#onOpen = onOpen;
    search.addEventListener('input', () => {
      answer.textContent = '';
      this.#draw();
    });
    search.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || isComposing(event)) return;
      event.preventDefault();
      const [first] = this.#found;
      const name = this.#sought;
      const exact = this.#found.some(({ peer }) => peer === name);
      if (name !== '') this.#choose(exact || first === undefined ? name : first.peer);
    });
    start.addEventListener('click', () => this.#choose(this.#sought));
    search.addEventListener('keydown', (event) => this.#step(event));
    list.addEventListener('keydown', (event) => this.#step(event));
  }

  /** Says why something could not be done. @param {string} sentence */
  say(sentence) {
    this.#answer.textContent = sentence;
  }

  /** The arrow keys go from one to the next: the field, and the conversations. @param {KeyboardEvent} event */
  #step(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined || isComposing(event)) return;
    const stops = [this.#search, ...this.#list.getElementsByTagName('button')];
    const at = stops.findIndex((stop) => stop === document.activeElement);
    const next = stops[at + step];
    if (at === -1 || next === undefined) return;
    event.preventDefault();
    next.focus();
  }

  /**
   * @param {readonly Chat[]} chats in their order
   * @param {string | undefined} open the one that is shown
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
    const byPeer = new Map(found.map((chat) => [chat.peer, chat]));
    arrange(this.#list, [...byPeer.keys()], (peer) => {
      const row = new Row(peer, () => this.#choose(peer));
      this.#rows.set(peer, row);
      return row.item;
    });
    for (const [peer, chat] of byPeer) this.#rows.get(peer)?.show(chat, peer === this.#open);
    const sought = this.#sought;
    this.#start.hidden = sought === '' || byPeer.has(sought);
    this.#start.textContent = isRoom(sought) ? `Join ${sought}` : `Write to ${sought}`;
    this.#hint.hidden = this.#chats.length > 0 || sought !== '';
  }
}

/** One conversation in the list. */
class Row {
  #button = make('button', { type: 'button', class: 'row' });
  #last = make('span', { class: 'last', dir: 'auto' });
  #time = make('time', { class: 'when' });
  #unread = make('span', { class: 'badge', hidden: '' });
  #dot = make('span', { class: 'dot', hidden: '' }, make('span', { class: 'unseen' }, 'online'));

  /**
   * @param {string} peer
   * @param {() => void} onChoose
   */
  constructor(peer, onChoose) {
    const sign = make('span', { class: 'sign' }, avatar(peer), this.#dot);
    const name = make('bdi', { class: 'name' }, peer);
    this.#button.append(sign, name, this.#time, this.#last, this.#unread);
    this.#button.addEventListener('click', onChoose);
    this.item = make('li', {}, this.#button);
  }

  /**
   * @param {Chat} chat
   * @param {boolean} isOpen
   */
  show({ lastMessage, unread, online, isRoom: room, typists }, isOpen) {
    const content = lastMessage?.content;
    const said =
      typeof content === 'string'
        ? content
        : content === undefined
          ? 'No messages yet'
          : JSON.stringify(content);
    const text = room && lastMessage !== undefined ? `${lastMessage.sender}: ${said}` : said;
    this.#last.textContent = typists.length > 0 ? 'typing…' : text.slice(0, 200).toWellFormed();
    this.#time.textContent = lastMessage === undefined ? '' : shortly(lastMessage.createdAt);
    if (lastMessage !== undefined) this.#time.title = momentOf(lastMessage.createdAt);
    this.#unread.hidden = unread === 0;
    this.#unread.textContent = unread > 999 ? '999+' : String(unread);
    this.#unread.ariaLabel = `${unread} unread`;
    this.#unread.role = 'img';
    this.#dot.hidden = !online;
    if (isOpen) this.#button.setAttribute('aria-current', 'true');
    else this.#button.removeAttribute('aria-current');
  }
}
