import { avatar, make } from './dom.js';
import { contentOf } from './text.js';
import { dayOf, momentOf, timeOf } from './times.js';

/** @import { Entry } from '../client/outbox.js' */
/** @import { Stored } from '../client/feed.js' */

/** A message that waits, or that was refused. @typedef {{ entry: Entry, refused?: string }} Unsent */

const STATES = {
  waiting: ['◷', 'waiting'],
  stored: ['✓', 'stored'],
  read: ['✓✓', 'read'],
  refused: ['✕', 'not sent'],
};

/** The heading of a day. @param {string} at a moment of it */
export function dayRow(at) {
  return make('li', { class: 'day' }, make('time', { datetime: at.slice(0, 10) }, dayOf(at)));
}

/**
 * A message of somebody else.
 *
 * @param {Stored} message
 * @param {boolean} named whether it has to be said who wrote it
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
 * A message of one's own. It is one row from when it waits until it is read: it keeps its place and its selection, and
 * is read aloud once.
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

  /** @param {Unsent} unsent @param {() => void} onDismiss */
  showUnsent({ refused }, onDismiss) {
    if (refused === undefined) {
      this.#show('waiting', '', () => []);
      return;
    }
    this.#show('refused', refused, () => {
      const away = make('button', { type: 'button', class: 'more' }, 'Take away');
      away.addEventListener('click', onDismiss);
      return ['Not sent: ', refused, ' ', away, ' '];
    });
  }

  /**
   * @param {keyof typeof STATES} state
   * @param {string} what tells this from what was shown before
   * @param {() => (Node | string)[]} before what stands before the sign
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
