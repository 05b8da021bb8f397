import { listen } from '../client/environment.js';
import { tabStorage } from '../client/storage.js';
import { expiryOf } from './timeline.js';

/** @import { Stored } from '../client/feed.js' */
/** @import { Api, ConversationState } from './api.js' */
/** @import { Chat } from './chat.js' */

/** How many conversations, messages of each, and characters in all are stored: browsers give a tab 5 MB. */
const MAX_CONVERSATIONS = 30;
const MAX_MESSAGES = 50;
const MAX_CHARACTERS = 500_000;

/**
 * How long after a change the copy is stored. It is also stored when the page is left, unless it is killed.
 */
const QUIET_MILLISECONDS = 10_000;

/**
 * A stored conversation, with its newest messages if it was opened.
 *
 * @typedef {ConversationState & { peer: string, messages?: Stored[], more?: boolean }} Copied
 */

/**
 * The conversations that a person had in sight, and the stream's cursor at that time.
 *
 * @typedef {{ me: string, cursor: string, conversations: Copied[] }} Copy
 */

/**
 * A copy of the newest messages that a tab has seen, for a reload while the service cannot be reached. It
 * ends with the tab.
 */
export class TabCopy {
  #name;
  #me;
  #take;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isClosed = false;

  /**
   * @param {Api} api
   * @param {string} me whose copy it is; anybody else's is removed
   * @param {() => { cursor: string, chats: readonly Chat[] } | undefined} take returns what to store, the
   *   newest chat first; `undefined` while nothing is loaded
   */
  constructor(api, me, take) {
    this.#name = nameOf(api);
    this.#me = me;
    this.#take = take;
    if (this.#read()?.me !== me) tabStorage.remove(this.#name);
    for (const type of ['pagehide', 'visibilitychange'])
      listen(type, () => {
        if (this.#timer !== undefined) this.#keep();
      });
  }

  /** The cursor of the stream when the copy was stored; `undefined` if there is none. */
  get cursor() {
    return this.#read()?.cursor;
  }

  /**
   * Returns the copy, without messages that have expired.
   *
   * @param {number} now in milliseconds since the Unix epoch
   */
  at(now) {
    const copy = this.#read();
    return copy && { ...copy, conversations: copy.conversations.map((one) => withoutExpired(one, now)) };
  }

  /** Stores the copy a while later, because something is new. */
  touch() {
    if (!this.#isClosed) this.#timer ??= setTimeout(() => this.#keep(), QUIET_MILLISECONDS);
  }

  /** Removes the copy, and stores nothing more. */
  close() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    tabStorage.remove(this.#name);
  }

  #keep() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const taken = this.#take();
    if (taken === undefined) return;
    const { cursor, chats } = taken;
    /** @type {Copy} */
    const copy = { me: this.#me, cursor, conversations: [] };
    let room = MAX_CHARACTERS;
    for (const chat of chats.slice(0, MAX_CONVERSATIONS)) {
      const state = stateOf(chat);
      const fitting = [{ ...state, ...newestOf(chat) }, state].find((one) => sizeOf(one) <= room);
      if (fitting === undefined) continue;
      copy.conversations.push(fitting);
      room -= sizeOf(fitting);
    }
    tabStorage.set(this.#name, JSON.stringify(copy));
  }

  /** @returns {Copy | undefined} */
  #read() {
    /** @type {unknown} */
    const copy = JSON.parse(tabStorage.get(this.#name) ?? 'null');
    return /** @type {Copy | null} */ (copy) ?? undefined;
  }
}

/** Removes anybody's copy, because nobody is signed in. @param {Api} api */
export function removeCopy(api) {
  tabStorage.remove(nameOf(api));
}

/** @param {Api} api */
function nameOf(api) {
  return api.keptName('copy');
}

/** @param {Chat} chat @returns {Copied} */
function stateOf({ peer, lastMessage, unread, readThrough, peerReadThrough }) {
  return { peer, lastMessage: lastMessage ?? null, unread, readThrough, peerReadThrough };
}

/**
 * @param {Chat} chat
 * @returns {Pick<Copied, 'messages' | 'more'>} nothing if it was not opened: its messages may begin anywhere
 */
function newestOf({ isLoaded, hasMore, messages }) {
  if (!isLoaded) return {};
  const newest = messages.slice(Math.max(0, messages.length - MAX_MESSAGES), messages.length);
  return { messages: newest, more: hasMore || newest.length < messages.length };
}

/** @param {Copied} copied */
function sizeOf(copied) {
  return JSON.stringify(copied).length;
}

/** @param {Copied} copied @param {number} now @returns {Copied} */
function withoutExpired(copied, now) {
  const { lastMessage, messages, unread, readThrough } = copied;
  const isLeft = (/** @type {Stored} */ message) => expiryOf(message) > now;
  const gone = (messages ?? []).filter((one) => !isLeft(one) && one.id > (readThrough ?? 0));
  return {
    ...copied,
    lastMessage: lastMessage !== null && isLeft(lastMessage) ? lastMessage : null,
    unread: Math.max(0, unread - gone.length),
    ...(messages && { messages: messages.filter(isLeft) }),
  };
}
