/// <reference lib="esnext.disposable" preserve="true" />
import { openClient } from './client.js';
import { Problem, Unreachable, Unsent } from './errors.js';
import { checkOptions } from './options.js';

export { Problem, Unreachable, Unsent };

/** @typedef {import('./outbox.js').Entry} Entry */
/** @typedef {import('./stream.js').Frame} Frame */
/** @typedef {import('./position.js').GapReason} GapReason */
/** @typedef {import('./feed.js').Message} Message */
/** @typedef {import('./feed.js').Presence} Presence */
/** @typedef {import('./feed.js').Stored} Stored */

/** A message to be sent. @typedef {import('./outbox.js').Draft} Draft */

/** The status of a connection. @typedef {import('./status.js').Status} Status */

/** A page of history. @typedef {Pick<import('./feed.js').Page, 'messages' | 'cursor' | 'more' | 'before'>} HistoryPage */

/**
 * @typedef {object} Options
 * @property {string | readonly string[]} recipient the inboxes to follow, 1 to 100; the first is one's own
 * @property {string | undefined} [sender] the sender of messages; by default the first recipient
 * @property {string | URL | undefined} [url] the URL of the service; by default that of the service's own client.js
 * @property {(() => string | Promise<string>) | undefined} [token] returns a token, which requests carry instead of the session cookie:
 *   for other sites, workers and programs. Called at the start, and when the token has expired
 * @property {'event-source' | 'fetch' | 'polling' | undefined} [transport] by default `event-source`; `fetch` with a token, and where
 *   there is no EventSource
 * @property {string | undefined} [cursor] the position to begin at, such as the `cursor` of a page of history; by default the one
 *   at which this tab stopped, or this browser
 * @property {number | undefined} [last] if there is no cursor: begin with this many of the newest messages (0 to 1000)
 * @property {readonly string[] | undefined} [presence] addresses whose presence comes through `onEvent`
 * @property {((message: Stored) => unknown) | undefined} [onMessage] each stored message once, in order. If it returns a promise, the next
 *   message waits for it, and the position does not move before
 * @property {((event: Presence | Message) => void) | undefined} [onEvent] events that are not stored: presence, and ephemeral messages
 * @property {((status: Status) => void) | undefined} [onStatus]
 * @property {((gap: { reason: GapReason, cursor: string }) => void) | undefined} [onGap] some missed messages are gone.
 *   `purged`: it continues with the messages that are left; `restored` and `unknown`: it begins again with the oldest
 *   message, so remove those that are shown
 * @property {((frame: Frame) => void) | undefined} [onFrame] each frame as it came, for debugging
 * @property {(() => unknown) | undefined} [onExpired] the session has expired: get a new one (`PUT /session`), then resolve. It is called
 *   again if another tab got a session that has expired too, even before this call has resolved
 * @property {((refused: { draft: Entry, problem: Problem }) => void) | undefined} [onRefused] a message of the outbox will never be
 *   stored, also one of an earlier visit
 * @property {AbortSignal | undefined} [signal] closes the connection
 */

/**
 * @typedef {object} Members
 * @property {(draft: Draft) => Promise<Stored>} send stores a message, exactly once and in the order of sending, also offline and
 *   across reloads. Returns the stored message; rejects with a `Problem` that a retry cannot mend
 * @property {(draft: Draft) => Promise<number | undefined>} sendEphemeral sends a message to live streams: it is not stored, and not tried
 *   again. Returns the number of streams, `undefined` if one may not see the recipient's presence; rejects with a `Problem` or `Unreachable`
 * @property {(peer: string, messageId: number) => Promise<Stored>} markRead tells the peer and one's other devices through which
 *   message one has read. Returns the marker; rejects if the log is restored from an older backup meanwhile: ids differ then
 * @property {() => AsyncGenerator<Stored, void, void>} messages iterates over stored messages, each once and in order: in place of
 *   `onMessage`. The position moves when the next message is asked for; the message at which a loop ends early is the first of the next
 *   loop. Ends when the connection is closed; throws if it waits for `reconnect`, if the session is not this page's any more,
 *   and a TypeError if there is `onMessage`
 * @property {(page?: { before?: number | undefined, limit?: number | undefined }) => Promise<HistoryPage>} history gets a page of
 *   history of all inboxes that are followed, in one order, the oldest first: the newest messages, or those before the id
 *   `before`; `limit` is 1 to 1000, by default 50. If there is `more`, go on with its `before`. Rejects with a `Problem` or
 *   `Unreachable`, and with a TypeError if the page is not so
 * @property {(addresses: readonly string[]) => void} watch sets the addresses whose presence comes from now on, at most 100. Throws a
 *   TypeError if they are not that
 * @property {() => void} reconnect tries again at once
 * @property {() => void} close closes the connection. Messages in the outbox are still sent
 * @property {(options?: { discard?: boolean }) => Promise<void>} signOut ends all connections to the service in this browser, removes
 *   everything that is kept for it, and ends the session; with a token, the page has to forget that itself. Rejects with `Unsent` while
 *   there are messages that are not sent, unless `discard` is set: nothing is done; and with a `Problem` or
 *   `Unreachable` if the service could not be told: its cookie is still valid, so sign out again. Messages that somebody
 *   else left in an earlier session are no part of it: they wait for their sender
 * @property {string | undefined} cursor the position up to which every message came and was taken
 * @property {readonly Entry[]} outbox messages that wait to be stored, the oldest first
 * @property {Status} status the status now
 */

/** A connection to one's inboxes, with its outbox. @typedef {Readonly<Members> & AsyncDisposable} Connection */

/**
 * Follows inboxes, and sends.
 *
 * All tabs of a browser that follow the same inboxes share one stream. The position is kept in the browser, so a reload
 * or a night's sleep misses nothing, and what was told is not told again.
 *
 * @param {Options} options
 * @returns {Connection}
 * @throws {TypeError} if an option is unknown or breaks its rule
 */
export function connect(options) {
  return openClient(checkOptions(options));
}
