import { avatar, make } from './dom.js';
import { contentOf } from './text.js';
import { dayOf, momentOf, timeOf } from './times.js';

/** @import { Entry } from '../client/outbox.js' */
/** @import { Stored } from '../client/feed.js' */

/** A person's decision about a message that was refused. @typedef {'edit' | 'again' | 'discard'} Decision */

/** A message that waits, or that was refused. @typedef {{ entry: Entry, refused?: string }} Unsent */

const STATES = {
  waiting: ['◷', 'waiting'],
  stored: ['✓', 'stored'],
  read: ['✓✓', 'read'],
  refused: ['✕', 'not sent'],
};

/** @type {readonly (readonly [Decision, string])[]} */
const DECISIONS = [
  ['edit', 'Edit'],
  ['again', 'Try again'],
  ['discard', 'Discard'],
];

/** Makes the heading of a day. @param {string} at a moment of that day */
export function dayRow(at) {
  return make('li', { class: 'day' }, make('time', { datetime: at.slice(0, 10) }, dayOf(at)));
}

/** Makes the line before the first unread message. */
export function unreadRow() {
  return make('li', { class: 'unread' }, 'New');
}

/**
 * Makes the row of somebody else's message.
 *
 * @param {Stored} message
 * @param {boolean} named whether to show who wrote it
 */
export function theirRow({ id, sender, content, createdAt }, named) {
  const from = named
    ? make('bdi', { class: 'from' }, sender)
    : make('span', { class: 'unseen' }, `${sender}: `);
  return make(
    'li',
    { class: 'message', 'data-id': String(id) },
    avatar(sender),
    make('div', { class: 'bubble' }, from, contentOf(content), make('footer', {}, timeRow(createdAt))),
  );
}

/**
 * The row of a message that the person wrote. It stays the same while the message waits, is stored and is
 * read, so it keeps its place and its selection, and is read aloud once.
 */
export class OwnRow {
  #foot = make('footer');
  #shown = '';
  row;

  /** @param {unknown} content */
  constructor(content) {
    const bubble = make('div', { class: 'bubble' }, contentOf(content), this.#foot);
    this.row = make('li', { class: 'message mine' }, bubble);
  }

  /** @param {Stored} message @param {boolean} isRead */
  showStored({ id, createdAt }, isRead) {
    this.#show(isRead ? 'read' : 'stored', `${id}`, () => [timeRow(createdAt), ' ']);
    this.row.dataset['id'] = String(id);
  }

  /**
   * @param {Unsent} unsent
   * @param {(decision: Decision) => void} onDecide called with the decision, if it was refused
   */
  showUnsent({ refused, entry: { content } }, onDecide) {
    if (refused === undefined) {
      this.#show('waiting', '', () => []);
      return;
    }
    this.#show('refused', refused, () => {
      const buttons = DECISIONS.filter(
        ([decision]) => decision !== 'edit' || typeof content === 'string',
      ).flatMap(([decision, label]) => {
        const button = make('button', { type: 'button', class: 'more' }, label);
        button.addEventListener('click', () => onDecide(decision));
        return [button, ' '];
      });
      return ['Not sent: ', refused, ' ', ...buttons];
    });
  }

  /**
   * @param {keyof typeof STATES} state
   * @param {string} what differs from what was shown before, if something has changed
   * @param {() => (Node | string)[]} before makes the parts before the sign
   */
  #show(state, what, before) {
    if (this.#shown === `${state} ${what}`) return;
    this.#shown = `${state} ${what}`;
    const [sign = '', word = ''] = STATES[state];
    this.row.classList.toggle('waiting', state === 'waiting');
    this.row.classList.toggle('refused', state === 'refused');
    this.#foot.replaceChildren(
      ...before(),
      make(
        'span',
        { class: 'state', 'data-state': state, title: word },
        make('span', { 'aria-hidden': 'true' }, sign),
        make('span', { class: 'unseen' }, word),
      ),
    );
  }
}

/** @param {string} at */
function timeRow(at) {
  return make('time', { datetime: at, title: momentOf(at) }, timeOf(at));
}
