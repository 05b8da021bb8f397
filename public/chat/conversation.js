import { Problem } from '../client.js';
import { Composer } from './composer.js';
import { Drafts } from './drafts.js';
import { avatar, element, isolated, setText } from './dom.js';
import { FirstSteps } from './first-steps.js';
import { isByKeyboard } from './keyboard.js';
import { Places } from './places.js';
import { Thread } from './thread.js';
import { momentOf, shortly } from './times.js';

/** @import { Api } from './api.js' */
/** @import { Chat } from './chat.js' */
/** @import { Unsent } from './rows.js' */

/** How long after the last scrolling a read marker is sent. */
const SEEN_MILLISECONDS = 250;

/** How many messages are fetched at a time, and how many the service gives at most. */
const PAGE = 50;
const MAX_PAGE = 1000;

/** How long to wait before asking again for history that could not be fetched. */
const RETRY_MILLISECONDS = 10_000;

/**
 * The actions of a person in a conversation.
 *
 * @typedef {object} ConversationEvents
 * @property {(recipient: string, content: unknown) => void} onSend
 * @property {(recipient: string) => void} onTyping
 * @property {(chat: Chat, id: number) => void} onSeen everything up to this message was really in view
 * @property {(room: string) => void} onLeave
 * @property {(unsent: Unsent) => void} onDismiss a refused message is dismissed
 * @property {() => void} onChange something about the chat has changed
 */

/** The open conversation: who it is with, its messages, and the field for writing. */
export class Conversation {
  #api;
  #me;
  #events;
  #thread;
  #firstSteps;
  /** @type {Chat | undefined} */
  #chat;
  /** Chats whose history is being fetched. @type {WeakSet<Chat>} */
  #fetching = new WeakSet();
  #notBefore = 0;
  #fault = '';
  #composer;
  #hint = element('thread-hint', HTMLElement);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #seenTimer;
  #presence = element('presence', HTMLElement);
  #typing = element('typing', HTMLElement);

  /**
   * @param {Api} api
   * @param {string} me
   * @param {boolean} isOpen whether the service has no key, so that anybody may use any name
   * @param {ConversationEvents} events
   */
  constructor(api, me, isOpen, events) {
    this.#firstSteps = new FirstSteps(api, me, isOpen);
    this.#api = api;
    this.#me = me;
    this.#events = events;
    const parts = {
      box: element('thread', HTMLElement),
      list: element('messages', HTMLOListElement),
      toEnd: element('to-end', HTMLButtonElement),
    };
    this.#thread = new Thread(parts, new Places(api), {
      onOlder: (isFar) => void this.#fetchOlder(isFar),
      onSeen: (chat, id) => this.#seen(chat, id),
      onStay: () => events.onChange(),
      onDecide: (unsent, decision) => {
        events.onDismiss(unsent);
        const { recipient, content } = unsent.entry;
        if (decision === 'edit') this.#composer.edit(String(content));
        else if (decision === 'again') events.onSend(recipient, content);
      },
    });
    this.#composer = new Composer(
      element('composer', HTMLFormElement),
      element('text', HTMLTextAreaElement),
      new Drafts(api, me),
      {
        onSend: (text) => {
          if (this.#chat !== undefined) events.onSend(this.#chat.peer, text);
          events.onChange();
          this.#thread.toEnd();
        },
        onTyping: () => {
          if (this.#chat !== undefined) events.onTyping(this.#chat.peer);
        },
      },
    );
    element('leave', HTMLButtonElement).addEventListener('click', () => {
      if (this.#chat !== undefined) events.onLeave(this.#chat.peer);
    });
  }

  /** Moves the focus to the field for writing. */
  focus() {
    element('text', HTMLElement).focus();
  }

  /** Opens a conversation. @param {Chat | undefined} chat `undefined` to open none */
  open(chat) {
    const isSame = chat?.peer === this.#chat?.peer;
    if (chat !== this.#chat) {
      clearTimeout(this.#seenTimer);
      this.#fault = '';
      this.#notBefore = 0;
    }
    this.#chat = chat;
    // Before anything moves: this stores the reader's place.
    this.#thread.open(this.#me, chat);
    element('nobody', HTMLElement).hidden = chat !== undefined;
    element('somebody', HTMLElement).hidden = chat === undefined;
    element('app', HTMLElement).classList.toggle('reading', chat !== undefined);
    if (chat === undefined) return;
    element('peer', HTMLElement).textContent = chat.peer;
    element('peer-sign', HTMLElement).replaceChildren(avatar(chat.peer));
    element('leave', HTMLElement).hidden = !chat.isRoom;
    this.#composer.turnTo(chat.peer);
    if (!chat.isLoaded) void this.#fetchOlder();
    // On a phone, the keyboard would open over the messages that the person came to read.
    if (!isSame && (isByKeyboard() || matchMedia('(hover: hover)').matches)) this.focus();
  }

  /**
   * Shows the conversation as it is now. Call `settle` after it.
   *
   * @param {readonly Unsent[]} unsent of all conversations, the oldest first
   */
  show(unsent) {
    const chat = this.#chat;
    if (chat === undefined) return;
    const { typists, lastSeen, peer } = chat;
    const own = unsent.filter(({ entry: { recipient, type } }) => recipient === peer && type !== 'read');
    // First, because it measures where the reader is: after other changes that would need another layout.
    this.#thread.show(own);
    const verb = typists.length === 1 ? 'is' : 'are';
    setText(this.#typing, typists.length === 0 ? '' : `${typists.map(isolated).join(', ')} ${verb} typing…`);
    setText(this.#presence, presenceOf(chat));
    const seenAt = lastSeen === null ? '' : momentOf(lastSeen);
    if (this.#presence.title !== seenAt) this.#presence.title = seenAt;
    setText(this.#hint, this.#hintOf(chat, own.length));
    const isEmpty = chat.isLoaded && !chat.hasMore && chat.messages.length + own.length === 0;
    this.#firstSteps.show(chat, isEmpty);
  }

  /**
   * Scrolls to the reader's place. Call it when everything else is shown, so that there is only one layout.
   */
  settle() {
    if (this.#chat !== undefined) this.#thread.settle();
  }

  /**
   * @param {Chat} chat
   * @param {number} waiting
   */
  #hintOf({ isLoaded, hasMore, messages, peer, isRoom }, waiting) {
    if (this.#fault !== '') return `Older messages cannot be loaded: ${this.#fault}`;
    if (!isLoaded || hasMore) return 'Loading…';
    if (messages.length + waiting > 0) return 'This is the beginning.';
    return isRoom
      ? 'Nobody has written anything here yet.'
      : `Nothing here yet. Write to ${isolated(peer)} below.`;
  }

  /** Fetches what the service could not give before. Call it when the service can be reached again. */
  retry() {
    this.#notBefore = 0;
    if (this.#fault !== '' || this.#chat?.isLoaded === false) void this.#fetchOlder();
  }

  /** @param {boolean} [isFar] whether many messages are wanted */
  async #fetchOlder(isFar = false) {
    const chat = this.#chat;
    if (chat === undefined || this.#fetching.has(chat) || !chat.hasMore || Date.now() < this.#notBefore)
      return;
    this.#fetching.add(chat);
    try {
      const before = chat.isLoaded ? chat.oldestFetched : undefined;
      // All unread messages at once: a conversation opens at the first of them.
      const limit = isFar ? MAX_PAGE : Math.min(MAX_PAGE, PAGE + (chat.isLoaded ? 0 : chat.unread));
      const page = await this.#api.history(this.#me, chat.peer, chat.isRoom, before, limit);
      chat.addHistory(page.messages, page.more, page.before);
      if (chat === this.#chat) this.#fault = '';
    } catch (error) {
      // Do not ask again for a history that this person may not read.
      if (error instanceof Problem && !error.passes) chat.hasMore = false;
      if (chat !== this.#chat) return;
      this.#notBefore = Date.now() + RETRY_MILLISECONDS;
      this.#fault = error instanceof Problem ? error.message : 'the service cannot be reached';
    } finally {
      this.#fetching.delete(chat);
    }
    this.#events.onChange();
  }

  /**
   * @param {Chat} chat
   * @param {number} id
   */
  #seen(chat, id) {
    if (chat !== this.#chat || id <= chat.readThrough) return;
    clearTimeout(this.#seenTimer);
    this.#seenTimer = setTimeout(() => {
      if (id > chat.readThrough) this.#events.onSeen(chat, id);
      this.#events.onChange();
    }, SEEN_MILLISECONDS);
  }
}

/** @param {Chat} chat */
function presenceOf({ isRoom, online, lastSeen }) {
  if (isRoom) return 'a room: everybody who joins can read it';
  if (online) return 'online';
  return lastSeen === null ? '' : `last seen ${shortly(lastSeen)}`;
}
