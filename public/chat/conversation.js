import { Problem } from '../client.js';
import { Composer } from './composer.js';
import { avatar, element, isolated } from './dom.js';
import { Thread } from './thread.js';
import { momentOf, shortly } from './times.js';

/** @import { Api } from './api.js' */
/** @import { Chat } from './chats.js' */
/** @import { Unsent } from './rows.js' */

/** A read marker is sent when one has stopped scrolling for so long. */
const SEEN_MILLISECONDS = 250;

/** After history could not be fetched it is not asked for again at once. */
const RETRY_MILLISECONDS = 10_000;

/**
 * What a person does in a conversation.
 *
 * @typedef {object} ConversationEvents
 * @property {(recipient: string, text: string) => void} onSend
 * @property {(recipient: string) => void} onTyping
 * @property {(chat: Chat, id: number) => void} onSeen through this message it was really in view
 * @property {(room: string) => void} onLeave
 * @property {(unsent: Unsent) => void} onDismiss a refused message is taken away
 * @property {() => void} onChange what is known of the chat is another
 */

/** The conversation that is open: who it is with, its messages, and where one writes. */
export class Conversation {
  #api;
  #me;
  #events;
  #thread;
  /** @type {Chat | undefined} */
  #chat;
  /** Whose history is on its way. @type {WeakSet<Chat>} */
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
   * @param {ConversationEvents} events
   */
  constructor(api, me, events) {
    this.#api = api;
    this.#me = me;
    this.#events = events;
    this.#thread = new Thread(element('thread', HTMLElement), element('messages', HTMLOListElement), {
      onOlder: () => void this.#fetchOlder(),
      onSeen: (chat, id) => this.#seen(chat, id),
      onDismiss: (unsent) => {
        events.onDismiss(unsent);
        events.onChange();
      },
    });
    this.#composer = new Composer(
      element('composer', HTMLFormElement),
      element('text', HTMLTextAreaElement),
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

  /** Opens a conversation. @param {Chat | undefined} chat `undefined`: none */
  open(chat) {
    const isSame = chat?.peer === this.#chat?.peer;
    if (chat !== this.#chat) {
      clearTimeout(this.#seenTimer);
      this.#fault = '';
      this.#notBefore = 0;
    }
    this.#chat = chat;
    element('nobody', HTMLElement).hidden = chat !== undefined;
    element('somebody', HTMLElement).hidden = chat === undefined;
    element('app', HTMLElement).classList.toggle('reading', chat !== undefined);
    if (chat === undefined) return;
    element('peer', HTMLElement).textContent = chat.peer;
    element('peer-sign', HTMLElement).replaceChildren(avatar(chat.peer));
    element('leave', HTMLElement).hidden = !chat.isRoom;
    this.#composer.turnTo(chat.peer);
    if (!chat.isLoaded) void this.#fetchOlder();
    // On a phone it would open the keyboard over what one came to read.
    if (!isSame && matchMedia('(hover: hover)').matches) element('text', HTMLElement).focus();
  }

  /** Shows what is known of it now. @param {readonly Unsent[]} unsent of all conversations, the oldest first */
  show(unsent) {
    const chat = this.#chat;
    if (chat === undefined) return;
    const { typists, lastSeen, peer } = chat;
    const verb = typists.length === 1 ? 'is' : 'are';
    this.#typing.textContent =
      typists.length === 0 ? '' : `${typists.map(isolated).join(', ')} ${verb} typing…`;
    this.#presence.textContent = presenceOf(chat);
    this.#presence.title = lastSeen === null ? '' : momentOf(lastSeen);
    const own = unsent.filter(({ entry: { recipient, type } }) => recipient === peer && type !== 'read');
    this.#hint.textContent = this.#hintOf(chat, own.length);
    this.#thread.show(this.#me, chat, own);
  }

  /**
   * @param {Chat} chat
   * @param {number} waiting
   */
  #hintOf({ isLoaded, hasMore, messages, peer, isRoom }, waiting) {
    if (this.#fault !== '') return `Older messages cannot be read: ${this.#fault}`;
    if (!isLoaded || hasMore) return 'Loading…';
    if (messages.size + waiting > 0) return 'This is where it begins.';
    return isRoom
      ? 'Nobody has said anything here yet.'
      : `Nothing said yet. Write to ${isolated(peer)} below.`;
  }

  /** The service can be reached again: fetches what it could not give before. */
  retry() {
    this.#notBefore = 0;
    if (this.#fault !== '' || this.#chat?.isLoaded === false) void this.#fetchOlder();
  }

  async #fetchOlder() {
    const chat = this.#chat;
    if (chat === undefined || this.#fetching.has(chat) || !chat.hasMore || Date.now() < this.#notBefore)
      return;
    this.#fetching.add(chat);
    try {
      const before = chat.isLoaded ? chat.oldestFetched : undefined;
      const page = await this.#api.history(this.#me, chat.peer, chat.isRoom, before);
      chat.addHistory(page.messages, page.more, page.before);
      if (chat === this.#chat) this.#fault = '';
    } catch (error) {
      // What may not be read is not asked for again.
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
  if (isRoom) return 'a room: everybody who joins it reads along';
  if (online) return 'online';
  return lastSeen === null ? '' : `last seen ${shortly(lastSeen)}`;
}
