import { setHidden, setText } from './dom.js';
import { silencer } from './read-aloud.js';
import { Sight } from './sight.js';
import { ThreadRows } from './thread-rows.js';

/** @import { Chat } from './chat.js' */
/** @import { Place, Places } from './places.js' */
/** @import { Decision, Unsent } from './rows.js' */

/** So many messages are in the document at most: enough for any screen, and few enough for any machine. */
const MAX_ROWS = 150;

/** By so many messages the part that is in the document moves. */
const STEP = 50;

/** Within so many pixels of the end one follows what comes. */
const NEAR_END = 60;

/** Within so many pixels of an end of the rows, more are put there. */
const NEAR_EDGE = 400;

/** So much of the height is above the first unread message when a conversation is opened there. */
const ABOVE_UNREAD = 0.25;

/** After so long without scrolling one is where one wants to be. */
const STILL_MILLISECONDS = 200;

/**
 * @typedef {object} ThreadEvents
 * @property {(isFar?: boolean) => void} onOlder older messages are wanted; `isFar`: many of them
 * @property {(chat: Chat, id: number) => void} onSeen through this message of somebody else it was really in view
 * @property {(unsent: Unsent, decision: Decision) => void} onDecide what is to become of a message that was refused
 */

/** The view before the rows change; `isPlaced`: it was known already where one begins. @typedef {{ anchor: HTMLElement | undefined, top: number, isPlaced: boolean }} Seen */

/**
 * The messages of one conversation. Of a long one only a part is in the document: the end, or what is around the place
 * where one reads.
 */
export class Thread {
  #box;
  #list;
  #toEnd;
  #places;
  #events;
  #me = '';
  /** @type {Chat | undefined} */
  #chat;
  /** @type {readonly Unsent[]} */
  #unsent = [];
  #sight;
  #rows;
  /** The id from which on messages are in the document. */
  #first = 0;
  /** Whether the end is what one looks at: it stays in view when more comes, or when there is less room. */
  #follows = true;
  /** Through which message one had read when the conversation was opened: what follows is new. @type {number | undefined} */
  #newAfter;
  /** Whether the conversation was opened, and it is not known yet where. */
  #isOpening = false;
  /** The place to be at with the next drawing. @type {Place | undefined} */
  #place;
  /** The place at the last look. */
  #top = 0;
  /** The view before the rows were changed, until one is there again. @type {Seen | undefined} */
  #seen;
  #beSilent;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #still;

  /**
   * @param {{ box: HTMLElement, list: HTMLOListElement, toEnd: HTMLButtonElement }} parts `box` is what scrolls
   * @param {Places} places
   * @param {ThreadEvents} events
   */
  constructor({ box, list, toEnd }, places, events) {
    this.#places = places;
    this.#box = box;
    this.#list = list;
    this.#toEnd = toEnd;
    this.#events = events;
    this.#beSilent = silencer(box);
    this.#sight = new Sight(box, (id) => {
      if (this.#chat !== undefined) events.onSeen(this.#chat, id);
    });
    this.#rows = new ThreadRows(list, this.#sight, events.onDecide);
    box.addEventListener('scroll', () => {
      this.#noteScroll();
      this.#move();
      this.#showButton();
      clearTimeout(this.#still);
      this.#still = setTimeout(() => this.#keepPlace(), STILL_MILLISECONDS);
    });
    toEnd.addEventListener('click', () => {
      this.toEnd();
      box.focus();
    });
    new ResizeObserver(() => {
      this.#noteScroll();
      if (this.#follows) this.#scrollToEnd();
    }).observe(box);
  }

  /** Turns to a conversation, of which nothing is shown yet. Keeps where one was before. @param {string} me @param {Chat | undefined} chat `undefined`: none */
  open(me, chat) {
    if (chat === this.#chat) return;
    clearTimeout(this.#still);
    this.#keepPlace();
    this.#rows.clear();
    // Nobody has scrolled there.
    this.#top = this.#box.scrollTop;
    this.#me = me;
    this.#chat = chat;
    this.#follows = true;
    this.#isOpening = true;
    this.#newAfter = undefined;
  }

  /** Shows the conversation as it is now; `settle` has to follow. @param {readonly Unsent[]} unsent what is not stored yet, the oldest first */
  show(unsent) {
    const chat = this.#chat;
    if (chat === undefined) return;
    this.#unsent = unsent.filter(({ entry }) => !chat.messages.hasKey(entry.idempotencyKey));
    const isOpening = this.#isOpening;
    if (isOpening && chat.isLoaded) this.#findPlace(chat);
    this.#draw(isOpening);
  }

  /** Goes to where one is among the rows that were changed: nothing else may have to be laid out after that. */
  settle() {
    this.#settle();
    if (this.#box.scrollTop < NEAR_EDGE) this.#move();
  }

  /** Shows the end, whatever one was looking at. */
  toEnd() {
    const chat = this.#chat;
    if (chat === undefined) return;
    const isElsewhere = this.#from(chat) + MAX_ROWS < this.#length(chat);
    this.#follows = true;
    this.#draw(isElsewhere);
    this.#settle();
  }

  /**
   * Turns to where one was, else to the first unread message, else to the end. If older messages are wanted for that, it is
   * tried again when they are there.
   *
   * @param {Chat} chat
   */
  #findPlace(chat) {
    const place = this.#places.get(chat.peer);
    if (place !== undefined && chat.hasMore && place.id < (chat.messages.at(0)?.id ?? 0)) {
      this.#events.onOlder(true);
      return;
    }
    this.#isOpening = false;
    this.#findNew(chat);
    if (place === undefined) return;
    this.#follows = false;
    this.#first = chat.messages.at(Math.max(0, chat.messages.indexOf(place.id) - STEP))?.id ?? 0;
    this.#place = place;
  }

  /** Turns to the first unread message, if there is one. @param {Chat} chat */
  #findNew({ messages, readThrough, unread }) {
    if (unread === 0) return;
    let index = messages.indexOf(readThrough + 1);
    while (messages.at(index)?.sender === this.#me && index < messages.length) index++;
    if (index === messages.length) return;
    this.#newAfter = readThrough;
    this.#follows = false;
    this.#first = messages.at(Math.max(0, index - STEP))?.id ?? 0;
  }

  /** Puts others into the document when one comes close to an end of those that are there. */
  #move() {
    const chat = this.#chat;
    if (chat === undefined) return;
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    const from = this.#from(chat);
    if (scrollTop < NEAR_EDGE) {
      if (from === 0) this.#events.onOlder();
      else this.#turn(chat, from - STEP);
    } else if (scrollHeight - scrollTop - clientHeight < NEAR_EDGE && from + MAX_ROWS < this.#length(chat)) {
      this.#turn(chat, from + STEP);
    }
  }

  /** @param {Chat} chat @param {number} from */
  #turn(chat, from) {
    this.#follows = false;
    this.#first = chat.messages.at(Math.max(0, from))?.id ?? 0;
    this.#draw(true);
    this.#settle();
  }

  /** @param {Chat} chat */
  #length(chat) {
    return chat.messages.length + this.#unsent.length;
  }

  /** The index of the first message in the document. @param {Chat} chat */
  #from(chat) {
    return this.#follows ? Math.max(0, this.#length(chat) - MAX_ROWS) : chat.messages.indexOf(this.#first);
  }

  /** @param {boolean} isSilent whether the rows are not news, which are read aloud */
  #draw(isSilent) {
    const chat = this.#chat;
    if (chat === undefined) return;
    this.#noteScroll();
    const isPlaced = this.#newAfter === undefined || this.#list.querySelector('.unread') !== null;
    const anchor = this.#follows ? undefined : this.#rows.topmostIn(this.#box);
    this.#seen = { anchor, top: anchor?.getBoundingClientRect().top ?? 0, isPlaced };
    const from = this.#from(chat);
    const first = chat.messages.at(from)?.id ?? Infinity;
    // History is there to be read, not to be read aloud.
    if (isSilent || first < this.#first) this.#beSilent();
    this.#first = first;
    const { unread } = chat;
    setText(this.#toEnd, unread === 0 ? 'To the newest' : `${unread > 999 ? '999+' : unread} new`);
    this.#rows.show(chat, {
      me: this.#me,
      messages: chat.messages.slice(from, from + MAX_ROWS),
      unsent: this.#unsent.slice(0, Math.max(0, from + MAX_ROWS - chat.messages.length)),
      newAfter: this.#newAfter,
    });
  }

  #settle() {
    if (this.#seen === undefined) return;
    const { anchor, top, isPlaced } = this.#seen;
    this.#seen = undefined;
    const place = this.#place;
    this.#place = undefined;
    if (this.#follows) {
      this.#scrollToEnd();
    } else if (place !== undefined) {
      this.#scrollTo(this.#list.querySelector(`[data-id="${place.id}"]`), place.top);
    } else if (!isPlaced) {
      this.#scrollTo(this.#list.querySelector('.unread'), this.#box.clientHeight * ABOVE_UNREAD);
    } else if (anchor?.isConnected === true) {
      // The message that one reads stays at its place, whatever came before it.
      this.#box.scrollTop += anchor.getBoundingClientRect().top - top;
      this.#top = this.#box.scrollTop;
    }
    this.#showButton();
  }

  #scrollToEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#top = this.#box.scrollTop;
  }

  /** @param {Element | null} row @param {number} top so many pixels below the top of what is in view */
  #scrollTo(row, top) {
    if (row !== null) this.#box.scrollTop += this.#topOf(row) - top;
    this.#top = this.#box.scrollTop;
    this.#follows = this.#isAtEnd;
  }

  /** Returns how far a row is below the top of the view, in pixels. @param {Element} row */
  #topOf(row) {
    return row.getBoundingClientRect().top - this.#box.getBoundingClientRect().top;
  }

  /** Keeps where one is, for when this conversation is opened again. */
  #keepPlace() {
    const row = this.#follows ? undefined : this.#rows.topmostIn(this.#box);
    const id = Number(row?.dataset['id']);
    if (this.#chat === undefined || this.#isOpening) return;
    this.#places.keep(
      this.#chat.peer,
      row === undefined || !(id > 0) ? undefined : { id, top: this.#topOf(row) },
    );
  }

  /** Shows the button that leads to the newest message, unless that is in view. */
  #showButton() {
    setHidden(this.#toEnd, this.#follows || this.#isAtEnd);
  }

  /** The event comes with the next frame only: a message that comes before it must not take one to the end. */
  #noteScroll() {
    if (this.#box.scrollTop !== this.#top) this.#follows = this.#isAtEnd;
    this.#top = this.#box.scrollTop;
  }

  get #isAtEnd() {
    const isWhole = this.#chat === undefined || this.#from(this.#chat) + MAX_ROWS >= this.#length(this.#chat);
    return isWhole && this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < NEAR_END;
  }
}
