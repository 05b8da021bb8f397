/**
 * The position of one page in its inboxes, and what each piece of news means for it. It is pure; feed.js acts
 * on it.
 *
 * A message is told if, and only if, its id is greater than the position, which then becomes that id. It does
 * not matter whether the message came through a stream of this tab, from another tab or by a poll, so a
 * change from one to another neither loses nor repeats messages.
 */

/** @import { Stored } from './feed.js' */

/**
 * Why messages are missing. `purged`: the service no longer keeps them; `restored`: the log was restored from
 * an older backup; `unknown`: the position was not a cursor.
 *
 * @typedef {'purged' | 'restored' | 'unknown'} GapReason
 */

/**
 * A piece of news, in order, with a cursor. The meaning of the cursor depends on the type:
 *
 * - `before`: the cursor that the source of the news had before it; `asks`: whether to ask the service even
 *   if the position is ahead
 * - `ready`: a stream begins there; `gap`: why messages are missing
 * - `message`: the cursor of the message
 * - `live`: all messages up to there were told
 * - `gap`: messages of a page are missing; begin again there, except after a purge
 *
 * @typedef {object} News
 * @property {'before' | 'ready' | 'message' | 'live' | 'gap'} type
 * @property {string} cursor
 * @property {boolean} [asks]
 * @property {false | GapReason} [gap]
 * @property {Stored} [message]
 */

/**
 * Something to do about a piece of news.
 *
 * - `tell`: tell its message
 * - `fetch`: get the pages up to its cursor, at least one
 * - `keep`: store the position, which has changed; `keep-again`: store it, and it went back
 * - `gap`: tell its gap
 *
 * @typedef {'tell' | 'fetch' | 'keep' | 'keep-again' | 'gap'} FeedEffect
 */

/** @typedef {{ position: string | undefined, effects: readonly FeedEffect[] }} FeedStep */

/**
 * Returns the id of a cursor, such as 42 of `42-k3f9`.
 *
 * @param {string | undefined} cursor `undefined` is the beginning
 */
export function idOf(cursor = '') {
  return Number.parseInt(cursor, 10) || 0;
}

/**
 * Returns the position that follows from a piece of news, and what to do.
 *
 * @param {string | undefined} position a cursor; `undefined` before the first stream
 * @param {News} news
 * @returns {FeedStep}
 */
export function follow(position, { type, cursor, asks, gap, message }) {
  const lead = idOf(position) - idOf(cursor);
  const isPurge = gap === 'purged';
  // Our position is ahead of the stream: a page tells a purge from a restore.
  const isUnclear = type === 'ready' && lead > 0 && (!gap || isPurge);
  if (message) return { position, effects: lead < 0 ? ['tell'] : [] };
  if (gap && !isUnclear)
    return isPurge
      ? { position: position ?? cursor, effects: ['keep', 'gap'] }
      : { position: cursor, effects: ['keep-again', 'gap'] };
  if (position !== undefined && type !== 'live') {
    const isMissing = lead < 0 || isUnclear || (asks && cursor !== position);
    return { position, effects: isMissing ? ['fetch'] : [] };
  }
  return lead > 0 || cursor === position
    ? { position, effects: [] }
    : { position: cursor, effects: ['keep'] };
}
