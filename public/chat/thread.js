import { setHidden, setText } from './dom.js';
import { silencer } from './read-aloud.js';
import { ScrollBox } from './scroll-box.js';
import { Sight } from './sight.js';
import { newKey, ThreadRows } from './thread-rows.js';

/** @import { Chat } from './chat.js' */
/** @import { Places } from './places.js' */
/** @import { Decision, Unsent } from './rows.js' */

/** The most messages in the document: enough for any screen, and few enough for any machine. */
const MAX_ROWS = 150;

/** By how many messages the part in the document moves. */
const STEP = 50;

/** How many pixels from the end the view follows new messages, and from which distance more rows come. */
const [NEAR_END, NEAR_EDGE] = [60, 400];

/** How much of the height is above the first unread message when a conversation opens there. */
const ABOVE_UNREAD = 0.25;

/** After how many milliseconds without scrolling the reader's place is stored. */
const STILL = 200;

/**
 * @typedef {object} ThreadEvents
 * @property {(isFar?: boolean) => void} onOlder older messages are wanted; `isFar`: many of them
 * @property {(chat: Chat, id: number) => void} onSeen others' messages up to this one were really in view
 * @property {() => void} onStay the view no longer follows, because more came than it holds: draw it again
 * @property {(unsent: Unsent, decision: Decision) => void} onDecide the person's decision about a refused message
 */

/**
 * The messages of one conversation. Only a part of a long one is in the document: the end, or the part
 * around the reader's place.
 */
export class Thread {
  #box;
  #scroll;
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
  /** The id of the first message in the document. */
  #first = 0;
  /** The id of the last stored message in the document. */
  #last = 0;
  /** Whether the reader is at the end, which stays in view when more comes, or when there is less room. */
  #follows = true;
  /** The id up to which everything was read when the conversation opened. @type {number | undefined} */
  #newAfter;
  /** Whether the conversation was opened, but its place is not known yet. */
  #isOpening = false;
  /** The row to scroll to with the next drawing, and how many pixels below the top. @type {{ row: string, top: number } | undefined} */
  #place;
  /** The view before the rows changed, until it is restored. @type {{ anchor: HTMLElement | undefined, top: number } | undefined} */
  #seen;
  #beSilent;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #still;

  /**
   * @param {{ box: HTMLElement, list: HTMLOListElement, toEnd: HTMLButtonElement }} parts `box` scrolls
   * @param {Places} places
   * @param {ThreadEvents} events
   */
  constructor({ box, list, toEnd }, places, events) {
    this.#places = places;
    this.#box = box;
    this.#scroll = new ScrollBox(box);
    this.#list = list;
    this.#toEnd = toEnd;
    this.#events = events;
    this.#beSilent = silencer(box);
    this.#sight = new Sight(box, (id) => {
      if (this.#chat !== undefined && !this.#isOpening) events.onSeen(this.#chat, id);
    });
    this.#rows = new ThreadRows(list, this.#sight, events.onDecide);
    box.addEventListener('scroll', () => {
      this.#noteScroll();
      this.#move();
      // After a drawing in this frame, which measures where the reader is before it changes anything.
      requestAnimationFrame(() => this.#showButton());
      clearTimeout(this.#still);
      this.#still = setTimeout(() => this.#keepPlace(), STILL);
    });
    toEnd.addEventListener('click', () => {
      this.toEnd();
      box.focus();
    });
    new ResizeObserver(() => {
      this.#noteScroll();
      if (this.#follows) this.#scroll.toEnd();
    }).observe(box);
  }

  /** Stores the reader's place, and turns to another conversation. @param {string} me @param {Chat | undefined} chat */
  open(me, chat) {
    if (chat === this.#chat) return;
    clearTimeout(this.#still);
    this.#keepPlace();
    this.#rows.clear();
    // It has moved because it has no rows: nobody has scrolled.
    this.#scroll.wasScrolled();
    this.#me = me;
    this.#chat = chat;
    this.#follows = true;
    this.#isOpening = true;
    this.#newAfter = undefined;
  }

  /** Shows the current conversation. Call `settle` after it. @param {readonly Unsent[]} unsent the oldest first */
  show(unsent) {
    const chat = this.#chat;
    if (chat === undefined) return;
    this.#unsent = unsent.filter(({ entry }) => !chat.messages.hasKey(entry.idempotencyKey));
    const isOpening = this.#isOpening;
    if (isOpening && chat.isLoaded) this.#findPlace(chat);
    // Rows that were in view before the place was known were not looked at.
    if (isOpening && !this.#isOpening) this.#rows.clear();
    this.#sight.pass(chat.readThrough);
    const isBehind = this.#unseen(chat) < this.#length(chat) - MAX_ROWS;
    if (isBehind && this.#follows && !this.#isOpening) this.#turnToNew(chat, this.#sight.through);
    this.#draw(isOpening);
  }

  /** Scrolls to the reader's place. Call it last: nothing else may need a layout after it. */
  settle() {
    this.#settle();
    if (this.#scroll.above < NEAR_EDGE) this.#move();
  }

  /** Shows the end, whatever the reader was looking at. */
  toEnd() {
    const chat = this.#chat;
    if (chat === undefined) return;
    const isElsewhere = this.#from(chat) + MAX_ROWS < this.#length(chat);
    this.#follows = true;
    this.#sight.pass(chat.messages.at(-1)?.id ?? 0);
    this.#draw(isElsewhere);
    this.#settle();
  }

  /**
   * Finds the reader's last place, else the first unread message, else the end; later if that is not fetched.
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
    if (chat.unread > 0) this.#turnToNew(chat, chat.readThrough);
    if (place === undefined) return;
    this.#follows = false;
    this.#first = chat.messages.at(Math.max(0, chat.messages.indexOf(place.id) - STEP))?.id ?? 0;
    this.#place = { row: `[data-id="${place.id}"]`, top: place.top };
  }

  /** Turns to others' first message after an id, if there is one. @param {Chat} chat @param {number} id */
  #turnToNew({ messages }, id) {
    const index = messages.firstOfOthers(id, this.#me);
    if (index === messages.length) return;
    this.#newAfter = id;
    this.#place = { row: `[data-key="${newKey(id)}"]`, top: this.#scroll.height * ABOVE_UNREAD };
    this.#follows = false;
    this.#first = messages.at(Math.max(0, index - STEP))?.id ?? 0;
  }

  /** Returns the index of the first message that was not in view; the number of messages if all were. @param {Chat} chat */
  #unseen({ messages }) {
    return messages.firstOfOthers(this.#sight.through, this.#me);
  }

  /** Stays at the first message that was not in view, if more came at once than the view holds. */
  #stayAtUnseen() {
    const chat = this.#chat;
    if (chat === undefined || this.#isOpening) return;
    const row = this.#list.querySelector(`[data-id="${chat.messages.at(this.#unseen(chat))?.id}"]`);
    if (row === null || this.#scroll.shows(row)) return;
    this.#turnToNew(chat, this.#sight.through);
    this.#scroll.put(row, this.#place?.top ?? 0);
    this.#events.onStay();
  }

  /** Puts other messages into the document when the reader comes close to an end of its rows. */
  #move() {
    const chat = this.#chat;
    if (chat === undefined) return;
    const from = this.#from(chat);
    if (this.#scroll.above < NEAR_EDGE) {
      if (from === 0) this.#events.onOlder();
      else this.#turn(chat, from - STEP);
    } else if (this.#scroll.below < NEAR_EDGE && from + MAX_ROWS < this.#length(chat)) {
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

  /** Returns the index of the first message in the document. @param {Chat} chat */
  #from(chat) {
    return this.#follows ? Math.max(0, this.#length(chat) - MAX_ROWS) : chat.messages.indexOf(this.#first);
  }

  /** @param {boolean} isSilent whether the rows are not news: only news is read aloud */
  #draw(isSilent) {
    const chat = this.#chat;
    if (chat === undefined) return;
    this.#noteScroll();
    const anchor = this.#follows ? undefined : this.#rows.topmostIn(this.#box);
    this.#seen = { anchor, top: anchor === undefined ? 0 : this.#scroll.topOf(anchor) };
    this.#showButton();
    const from = this.#from(chat);
    const first = chat.messages.at(from)?.id ?? Infinity;
    // History is for reading, not for being read aloud.
    if (isSilent || first < this.#first) this.#beSilent();
    this.#first = first;
    const messages = chat.messages.slice(from, from + MAX_ROWS);
    this.#last = messages.at(-1)?.id ?? 0;
    const { unread } = chat;
    setText(this.#toEnd, unread === 0 ? 'Jump to newest' : `${unread > 999 ? '999+' : unread} new`);
    this.#rows.show(chat, {
      me: this.#me,
      messages,
      unsent: this.#unsent.slice(0, Math.max(0, from + MAX_ROWS - chat.messages.length)),
      newAfter: this.#newAfter,
    });
  }

  #settle() {
    if (this.#seen === undefined) return;
    const { anchor, top } = this.#seen;
    this.#seen = undefined;
    const place = this.#place;
    this.#place = undefined;
    if (this.#follows) {
      this.#scroll.toEnd();
      this.#stayAtUnseen();
      return;
    }
    if (place !== undefined) {
      const row = this.#list.querySelector(place.row);
      if (row !== null) this.#scroll.put(row, place.top);
      this.#follows = this.#isAtEnd;
    } else if (anchor?.isConnected === true) {
      // The message that is being read keeps its place, whatever came before it.
      this.#scroll.put(anchor, top);
    }
    this.#showButton();
  }

  /** Stores the reader's place, for when this conversation is opened again. */
  #keepPlace() {
    const row = this.#follows ? undefined : this.#rows.topmostIn(this.#box);
    const id = Number(row?.dataset['id']);
    if (this.#chat === undefined || this.#isOpening) return;
    const place = row === undefined || !(id > 0) ? undefined : { id, top: this.#scroll.topOf(row) };
    this.#places.keep(this.#chat.peer, place);
  }

  /** Shows the button that leads to the newest message, unless that is in view. */
  #showButton() {
    setHidden(this.#toEnd, this.#follows || this.#isAtEnd);
  }

  #noteScroll() {
    if (!this.#scroll.wasScrolled()) return;
    this.#follows = this.#isAtEnd;
    // A person who scrolls to the end goes past everything in between.
    if (this.#follows) this.#sight.pass(this.#last);
  }

  get #isAtEnd() {
    const isWhole = this.#chat === undefined || this.#from(this.#chat) + MAX_ROWS >= this.#length(this.#chat);
    return isWhole && this.#scroll.below < NEAR_END;
  }
}
