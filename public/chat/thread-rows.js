import { dayRow, OwnRow, theirRow, unreadRow } from './rows.js';
import { dayKey, dayOf } from './times.js';

/** @import { Stored } from '../client/feed.js' */
/** @import { Chat } from './chat.js' */
/** @import { Decision, Unsent } from './rows.js' */
/** @import { Sight } from './sight.js' */

/** The length of an ISO 8601 time up to its minutes. */
const MINUTE = '2026-01-01T12:00'.length;

/** A row to show. @typedef {{ key: string, create: () => HTMLElement, message?: Stored | undefined }} Item */

/**
 * The part of a conversation to show.
 *
 * @typedef {object} Shown
 * @property {string} me
 * @property {readonly Stored[]} messages the oldest first
 * @property {readonly Unsent[]} unsent the messages after them
 * @property {number | undefined} newAfter others' messages after this id are new; `undefined` if none is
 */

/** The rows of a conversation that are in the document. */
export class ThreadRows {
  #list;
  #sight;
  #onDecide;
  /** The rows of the person's own messages, by key. @type {Map<string, OwnRow>} */
  #own = new Map();

  /**
   * @param {HTMLOListElement} list
   * @param {Sight} sight watches the messages of others
   * @param {(unsent: Unsent, decision: Decision) => void} onDecide called with the decision about a refused
   *   message
   */
  constructor(list, sight, onDecide) {
    this.#list = list;
    this.#sight = sight;
    this.#onDecide = onDecide;
  }

  /** Removes all rows. */
  clear() {
    this.#list.replaceChildren();
    this.#sight.forget();
    this.#own.clear();
  }

  /**
   * Returns the topmost message that is visible in a box.
   *
   * @param {HTMLElement} box
   * @returns {HTMLElement | undefined}
   */
  topmostIn(box) {
    const { top } = box.getBoundingClientRect();
    const rows = /** @type {HTMLElement[]} */ ([...this.#list.getElementsByClassName('message')]);
    return rows.find((row) => row.getBoundingClientRect().bottom > top);
  }

  /**
   * Puts exactly these rows into the document. Rows that are already there stay the same nodes.
   *
   * @param {Chat} chat
   * @param {Shown} shown
   */
  show(chat, shown) {
    this.#arrange(this.#items(chat, shown));
  }

  /**
   * @param {Chat} chat
   * @param {Shown} shown
   * @returns {Item[]}
   */
  #items(chat, { me, messages, unsent, newAfter }) {
    /** @type {Item[]} */
    const items = [];
    let today = '';
    let isNew = false;
    for (const message of messages) {
      const day = dayKey(message.createdAt);
      // "Today" has another name tomorrow.
      if (day !== today)
        items.push({
          key: `day-${day}-${dayOf(message.createdAt)}`,
          create: () => dayRow(message.createdAt),
        });
      today = day;
      const isTheirs = message.sender !== me;
      if (!isNew && isTheirs && newAfter !== undefined && message.id > newAfter) {
        items.push({ key: newKey(newAfter), create: unreadRow });
        isNew = true;
      }
      items.push(isTheirs ? this.#theirItem(chat, message) : this.#ownItem(chat, message));
    }
    for (const one of unsent) items.push(this.#unsentItem(one));
    return items;
  }

  /** @param {Chat} chat @param {Stored} message @returns {Item} */
  #theirItem({ isRoom }, message) {
    return {
      // If the log was restored from an older backup, an id alone may be another message's.
      key: `message-${message.id}-${message.createdAt}`,
      create: () => this.#sight.observe(theirRow(message, isRoom)),
      message,
    };
  }

  /** @param {Chat} chat @param {Stored} message @returns {Item} */
  #ownItem({ peerReadThrough }, message) {
    const key = message.idempotencyKey ?? `${message.id}-${message.createdAt}`;
    const own = this.#ownRow(key, message.content);
    own.showStored(message, message.id <= peerReadThrough);
    return { key: `own-${key}`, create: () => own.row, message };
  }

  /** @param {Unsent} unsent @returns {Item} */
  #unsentItem(unsent) {
    const { idempotencyKey: key, content } = unsent.entry;
    const own = this.#ownRow(key, content);
    own.showUnsent(unsent, (decision) => this.#onDecide(unsent, decision));
    return { key: `own-${key}`, create: () => own.row };
  }

  /** @param {string} key @param {unknown} content */
  #ownRow(key, content) {
    let own = this.#own.get(key);
    if (own === undefined) this.#own.set(key, (own = new OwnRow(content)));
    return own;
  }

  /** @param {readonly Item[]} items */
  #arrange(items) {
    const wanted = new Set(items.map(({ key }) => key));
    for (const row of /** @type {HTMLElement[]} */ ([...this.#list.children])) {
      const { key = '' } = row.dataset;
      if (wanted.has(key)) continue;
      this.#sight.unobserve(row);
      this.#own.delete(key.replace(/^own-/, ''));
      row.remove();
    }
    const present = new Map(
      /** @type {HTMLElement[]} */ ([...this.#list.children]).map((row) => [row.dataset['key'], row]),
    );
    let next = this.#list.firstElementChild;
    for (const [index, { key, create, message }] of items.entries()) {
      const row = present.get(key) ?? named(create(), key);
      row.classList.toggle('continues', isOneTurn(items[index - 1]?.message, message));
      row.classList.toggle('continued', isOneTurn(message, items[index + 1]?.message));
      if (row === next) next = next.nextElementSibling;
      else this.#list.insertBefore(row, next);
    }
  }
}

/** Returns the key of the line before the first message of others after an id. @param {number} id */
export function newKey(id) {
  return `new-${id}`;
}

/**
 * Gives a row its key. For the browser, even setting the same key again is a change.
 *
 * @param {HTMLElement} row
 * @param {string} key
 */
function named(row, key) {
  row.dataset['key'] = key;
  return row;
}

/**
 * Returns whether two messages belong together: by the same person, in the same minute.
 *
 * @param {Stored | undefined} one
 * @param {Stored | undefined} next
 */
function isOneTurn(one, next) {
  return (
    one !== undefined &&
    one.sender === next?.sender &&
    one.createdAt.slice(0, MINUTE) === next.createdAt.slice(0, MINUTE)
  );
}
