import { arrange } from './dom.js';
import { dayRow, OwnRow, theirRow } from './rows.js';
import { dayKey, dayOf } from './times.js';

/** @import { Chat } from './chats.js' */
/** @import { Unsent } from './rows.js' */

/** How close to its end, in pixels, one has to be to follow what comes. */
const NEAR_END = 60;

/** How close to the beginning of what is shown older messages are fetched. */
const NEAR_BEGINNING = 400;

/** Where a part of a message comes into view that may make it seen. */
const THRESHOLDS = Array.from({ length: 21 }, (_, index) => index / 20);

/** After so long a screen reader has taken note of rows that it is not to read aloud. */
const SILENT_MILLISECONDS = 500;

/**
 * @typedef {object} ThreadEvents
 * @property {() => void} onOlder older messages are wanted
 * @property {(chat: Chat, id: number) => void} onSeen through this message of somebody else it was really in view
 * @property {(unsent: Unsent) => void} onDismiss a refused message is to be taken away
 */

/** The messages of one conversation. */
export class Thread {
  #box;
  #list;
  #events;
  #me = '';
  /** @type {Chat | undefined} */
  #chat;
  /** Rows of one's own messages. @type {Map<string, OwnRow>} */
  #own = new Map();
  /** Those of others that are in view. @type {Set<number>} */
  #inView = new Set();
  #observer;
  /** Whether the end is what one looks at: it stays in view when more comes, or when there is less room. */
  #follows = true;
  /** Where one was when that was known last. */
  #top = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silence;

  /**
   * @param {HTMLElement} box what scrolls
   * @param {HTMLOListElement} list
   * @param {ThreadEvents} events
   */
  constructor(box, list, events) {
    this.#box = box;
    this.#list = list;
    this.#events = events;
    box.addEventListener('scroll', () => {
      this.#noteScroll();
      if (box.scrollTop < NEAR_BEGINNING) events.onOlder();
    });
    new ResizeObserver(() => {
      this.#noteScroll();
      if (this.#follows) this.toEnd();
    }).observe(box);
    this.#observer = new IntersectionObserver((entries) => this.#look(entries), {
      root: box,
      threshold: THRESHOLDS,
    });
    for (const name of ['focus', 'visibilitychange']) addEventListener(name, () => this.#tellSeen(), true);
  }

  /**
   * Shows a conversation as it is now.
   *
   * @param {string} me
   * @param {Chat} chat
   * @param {readonly Unsent[]} unsent what is not stored yet, the oldest first
   */
  show(me, chat, unsent) {
    const isOther = chat !== this.#chat;
    if (isOther) {
      this.#list.replaceChildren();
      this.#observer.disconnect();
      this.#inView.clear();
      this.#own.clear();
    }
    this.#me = me;
    this.#chat = chat;
    this.#noteScroll();
    const anchor = this.#follows ? undefined : this.#rowInView();
    const before = anchor?.getBoundingClientRect().top ?? 0;
    const rows = this.#rows(chat, unsent);
    // History is there to be read, not to be read aloud.
    const keys = [...rows.keys()];
    const oldest = /** @type {HTMLElement | null} */ (this.#list.querySelector('.message'));
    if (isOther || oldest?.dataset['key'] !== keys.find((key) => !key.startsWith('day-'))) this.#beSilent();
    arrange(this.#list, keys, (key) => /** @type {() => HTMLElement} */ (rows.get(key))());
    if (isOther || this.#follows) this.toEnd();
    else if (anchor?.isConnected === true) {
      // What one reads stays where it is, whatever came before it.
      this.#box.scrollTop += anchor.getBoundingClientRect().top - before;
    }
    if (this.#box.scrollTop < NEAR_BEGINNING) this.#events.onOlder();
  }

  /** Shows the end, whatever one was looking at. */
  toEnd() {
    this.#follows = true;
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#top = this.#box.scrollTop;
  }

  /** The event comes with the next frame only: a message that comes before it must not take one to the end. */
  #noteScroll() {
    if (this.#box.scrollTop !== this.#top) this.#follows = this.#isAtEnd;
    this.#top = this.#box.scrollTop;
  }

  get #isAtEnd() {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < NEAR_END;
  }

  /** The topmost message that one can see. */
  #rowInView() {
    const top = this.#box.getBoundingClientRect().top;
    return [...this.#list.getElementsByClassName('message')].find(
      (row) => row.getBoundingClientRect().bottom > top,
    );
  }

  #beSilent() {
    this.#box.ariaLive = 'off';
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => (this.#box.ariaLive = 'polite'), SILENT_MILLISECONDS);
  }

  /**
   * What there is to show, in order, by what tells it apart.
   *
   * @param {Chat} chat
   * @param {readonly Unsent[]} unsent
   * @returns {Map<string, () => HTMLElement>}
   */
  #rows(chat, unsent) {
    const messages = [...chat.messages.values()].sort((one, other) => one.id - other.id);
    const stored = new Set(messages.map(({ idempotencyKey }) => idempotencyKey));
    /** @type {Map<string, () => HTMLElement>} */
    const rows = new Map();
    let today = '';
    for (const message of messages) {
      const day = dayKey(message.createdAt);
      // "Today" is another word tomorrow.
      if (day !== today) rows.set(`day-${day}-${dayOf(message.createdAt)}`, () => dayRow(message.createdAt));
      today = day;
      if (message.sender !== this.#me) {
        // An id alone may be another message's in a log that went back in time.
        rows.set(`message-${message.id}-${message.createdAt}`, () =>
          this.#observed(theirRow(message, chat.isRoom)),
        );
      } else {
        const key = message.idempotencyKey ?? `${message.id}-${message.createdAt}`;
        const own = this.#ownRow(key, message.content);
        own.showStored(message, message.id <= chat.peerReadThrough);
        rows.set(`own-${key}`, () => own.row);
      }
    }
    for (const one of unsent) {
      const { idempotencyKey: key, content } = one.entry;
      if (stored.has(key)) continue;
      const own = this.#ownRow(key, content);
      own.showUnsent(one, () => this.#events.onDismiss(one));
      rows.set(`own-${key}`, () => own.row);
    }
    return rows;
  }

  /**
   * @param {string} key
   * @param {unknown} content
   */
  #ownRow(key, content) {
    let own = this.#own.get(key);
    if (own === undefined) this.#own.set(key, (own = new OwnRow(content)));
    return own;
  }

  /** @param {HTMLElement} row */
  #observed(row) {
    this.#observer.observe(row);
    return row;
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #look(entries) {
    for (const { target, isIntersecting, intersectionRatio, intersectionRect, rootBounds } of entries) {
      // It may have been told of a conversation that is shown no more.
      if (!target.isConnected) continue;
      const id = Number(/** @type {HTMLElement} */ (target).dataset['id']);
      const half =
        intersectionRatio >= 0.5 || intersectionRect.height >= (rootBounds?.height ?? Infinity) / 2;
      if (isIntersecting && half) this.#inView.add(id);
      else this.#inView.delete(id);
    }
    this.#tellSeen();
  }

  #tellSeen() {
    const isHidden = document.visibilityState !== 'visible' || !document.hasFocus();
    if (isHidden || this.#box.closest('[inert]') !== null) return;
    if (this.#chat !== undefined && this.#inView.size > 0)
      this.#events.onSeen(this.#chat, Math.max(...this.#inView));
  }
}
