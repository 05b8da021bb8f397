import { setHidden, setText } from './dom.js';
import { silencer } from './read-aloud.js';
import { ScrollBox } from './scroll-box.js';
import { Sight } from './sight.js';
import { newKey, ThreadRows } from './thread-rows.js';

/** @import { Chat } from './chat.js' */
/** @import { Places } from './places.js' */
/** @import { Decision, Unsent } from './rows.js' */

/** So many messages are in the document at most: enough for any screen, and few enough for any machine. */
const MAX_ROWS = 150;

/** By so many messages the part that is in the document moves. */
const STEP = 50;

/** Within so many pixels of the end one follows what comes; within so many of an end of the rows, more are put there. */
const [NEAR_END, NEAR_EDGE] = [60, 400];

/** So much of the height is above the first unread message when a conversation is opened there. */
const ABOVE_UNREAD = 0.25;

/** After so many milliseconds without scrolling one is where one wants to be. */
const STILL = 200;

/**
 * @typedef {object} ThreadEvents
 * @property {(isFar?: boolean) => void} onOlder older messages are wanted; `isFar`: many of them
 * @property {(chat: Chat, id: number) => void} onSeen through this message of somebody else it was really in view
 * @property {() => void} onStay it follows no longer, as more came than the view holds: it is to be drawn again
 * @property {(unsent: Unsent, decision: Decision) => void} onDecide what is to become of a message that was refused
 */

/**
 * The messages of one conversation. Of a long one only a part is in the document: the end, or what is around the place
 * where one reads.
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
  /** The id from which on messages are in the document. */
  #first = 0;
  /** The id of the last stored message in the document. */
  #last = 0;
  /** Whether the end is what one looks at: it stays in view when more comes, or when there is less room. */
  #follows = true;
  /** Through which message one had read when the conversation was opened: what follows is new. @type {number | undefined} */
  #newAfter;
  /** Whether the conversation was opened, and it is not known yet where. */
  #isOpening = false;
  /** The row to be at with the next drawing, so many pixels below the top. @type {{ row: string, top: number } | undefined} */
  #place;
  /** The view before the rows were changed, until one is there again. @type {{ anchor: HTMLElement | undefined, top: number } | undefined} */
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
      // Behind a drawing of this frame, which reads where one is before it changes anything.
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

  /** Turns to a conversation, of which nothing is shown yet. Keeps where one was before. @param {string} me @param {Chat | undefined} chat `undefined`: none */
  open(me, chat) {
    if (chat === this.#chat) return;
    clearTimeout(this.#still);
    this.#keepPlace();
    this.#rows.clear();
    // Nobody has scrolled to where it is without rows.
    this.#scroll.wasScrolled();
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
    // Rows that were in view before it was known where one begins were not looked at.
    if (isOpening && !this.#isOpening) this.#rows.clear();
    this.#sight.pass(chat.readThrough);
    const isBehind = this.#unseen(chat) < this.#length(chat) - MAX_ROWS;
    if (isBehind && this.#follows && !this.#isOpening) this.#turnToNew(chat, this.#sight.through);
    this.#draw(isOpening);
  }

  /** Goes to where one is among the rows that were changed: nothing else may have to be laid out after that. */
  settle() {
    this.#settle();
    if (this.#scroll.above < NEAR_EDGE) this.#move();
  }

  /** Shows the end, whatever one was looking at. */
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
   * Turns to where one was, else to the first unread message, else to the end; later, if older messages are wanted for that.
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

  /** Turns to the first message of others behind an id, if there is one. @param {Chat} chat @param {number} id */
  #turnToNew({ messages }, id) {
    const index = messages.firstOfOthers(id, this.#me);
    if (index === messages.length) return;
    this.#newAfter = id;
    this.#place = { row: `[data-key="${newKey(id)}"]`, top: this.#scroll.height * ABOVE_UNREAD };
    this.#follows = false;
    this.#first = messages.at(Math.max(0, index - STEP))?.id ?? 0;
  }

  /** The index of the first message that was not in view; the number of messages if all were. @param {Chat} chat */
  #unseen({ messages }) {
    return messages.firstOfOthers(this.#sight.through, this.#me);
  }

  /** If more came at once than the view holds, stays at the first message that was not in view. */
  #stayAtUnseen() {
    const chat = this.#chat;
    if (chat === undefined || this.#isOpening) return;
    const row = this.#list.querySelector(`[data-id="${chat.messages.at(this.#unseen(chat))?.id}"]`);
    if (row === null || this.#scroll.shows(row)) return;
    this.#turnToNew(chat, this.#sight.through);
    this.#scroll.put(row, this.#place?.top ?? 0);
    this.#events.onStay();
  }

  /** Puts others into the document when one comes close to an end of those that are there. */
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

  /** The index of the first message in the document. @param {Chat} chat */
  #from(chat) {
    return this.#follows ? Math.max(0, this.#length(chat) - MAX_ROWS) : chat.messages.indexOf(this.#first);
  }

  /** @param {boolean} isSilent whether the rows are not news, which are read aloud */
  #draw(isSilent) {
    const chat = this.#chat;
    if (chat === undefined) return;
    this.#noteScroll();
    const anchor = this.#follows ? undefined : this.#rows.topmostIn(this.#box);
    this.#seen = { anchor, top: anchor === undefined ? 0 : this.#scroll.topOf(anchor) };
    this.#showButton();
    const from = this.#from(chat);
    const first = chat.messages.at(from)?.id ?? Infinity;
    // History is there to be read, not to be read aloud.
    if (isSilent || first < this.#first) this.#beSilent();
    this.#first = first;
    const messages = chat.messages.slice(from, from + MAX_ROWS);
    this.#last = messages.at(-1)?.id ?? 0;
    const { unread } = chat;
    setText(this.#toEnd, unread === 0 ? 'To the newest' : `${unread > 999 ? '999+' : unread} new`);
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
      // The message that one reads stays at its place, whatever came before it.
      this.#scroll.put(anchor, top);
    }
    this.#showButton();
  }

  /** Keeps where one is, for when this conversation is opened again. */
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
    // A person who scrolls to the end goes past the rest.
    if (this.#follows) this.#sight.pass(this.#last);
  }

  get #isAtEnd() {
    const isWhole = this.#chat === undefined || this.#from(this.#chat) + MAX_ROWS >= this.#length(this.#chat);
    return isWhole && this.#scroll.below < NEAR_END;
  }
}
