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

/** A message to send. @typedef {import('./outbox.js').Draft} Draft */

/** The status of a connection. @typedef {import('./status.js').Status} Status */

/**
 * A page of history.
 *
 * @typedef {Pick<import('./feed.js').Page, 'messages' | 'cursor' | 'more' | 'before'>} HistoryPage
 */

/**
 * The options of `connect`.
 *
 * @typedef {object} Options
 * @property {string | readonly string[]} recipient the inboxes to follow: an address, or a list of 1 to 100;
 *   the first is your own
 * @property {string | undefined} [sender] the sender of messages; defaults to the first recipient
 * @property {string | URL | undefined} [url] the URL of the service. Only the service's own `client.js` has a
 *   default: the service that serves it
 * @property {(() => string | Promise<string>) | undefined} [token] returns a token, which requests carry
 *   instead of the session cookie: for other sites, workers and programs. Called at the start, and when the
 *   token has expired
 * @property {'event-source' | 'fetch' | 'polling' | undefined} [transport] defaults to `event-source`; with a
 *   token, or without EventSource, to `fetch`
 * @property {string | undefined} [cursor] the position to begin at, such as the `cursor` of a page of
 *   history; defaults to the position at which this tab stopped, or else this browser
 * @property {number | undefined} [last] how many of the newest messages to begin with if there is no cursor:
 *   0 to 1000, by default 0
 * @property {readonly string[] | undefined} [presence] addresses whose presence `onEvent` receives, up to 100
 * @property {((message: Stored) => unknown) | undefined} [onMessage] receives each stored message once, in
 *   order. If it returns a promise, the position and the next message wait until that has settled
 * @property {((event: Presence | Message) => void) | undefined} [onEvent] receives events that are not
 *   stored: presence, and ephemeral messages
 * @property {((status: Status) => void) | undefined} [onStatus] receives the status when it changes
 * @property {((gap: { reason: GapReason, cursor: string }) => void) | undefined} [onGap] called when some
 *   missed messages are gone. `purged`: the messages that are left follow. `restored` and `unknown`: all
 *   messages follow, from the oldest on, so remove those that are shown
 * @property {((frame: Frame) => void) | undefined} [onFrame] receives each frame as it came, for debugging
 * @property {(() => unknown) | undefined} [onExpired] called when the session has expired: get a new one
 *   (`PUT /session`), then resolve. It is called again if another tab got a session that has expired too,
 *   even before this call has resolved
 * @property {((refused: { draft: Entry, problem: Problem }) => void) | undefined} [onRefused] called when a
 *   message of the outbox will never be stored, even one from an earlier visit
 * @property {AbortSignal | undefined} [signal] closes the connection when it is aborted
 */

/**
 * The members of a connection.
 *
 * @typedef {object} Members
 * @property {(draft: Draft) => Promise<Stored>} send stores a message exactly once, in the order of sending,
 *   even offline and across reloads. Resolves with the stored message; rejects with a `Problem` that a retry
 *   cannot fix
 * @property {(draft: Draft) => Promise<number | undefined>} sendEphemeral sends a message to live streams
 *   only: it is not stored, and not tried again. Resolves with the number of streams, or with `undefined` if
 *   you may not see the recipient's presence; rejects with a `Problem` or `Unreachable`
 * @property {(peer: string, messageId: number) => Promise<Stored>} markRead tells the peer and your other
 *   devices that you have read everything up to this message. Resolves with the stored marker; rejects if the
 *   log is restored from an older backup before that, because ids differ then
 * @property {() => AsyncGenerator<Stored, void, void>} messages iterates over stored messages, each once and
 *   in order, in place of `onMessage`. The position moves when you ask for the next message; if a loop ends
 *   early, its last message is the first of the next loop. Ends when the connection is closed. Throws if the
 *   connection waits for `reconnect`, if the session is no longer this page's, and a TypeError if there is an
 *   `onMessage`
 * @property {(page?: { before?: number | undefined, limit?: number | undefined }) => Promise<HistoryPage>} history
 *   gets a page of history of all followed inboxes in one order, the oldest message first: the newest
 *   messages, or those before the id `before`; `limit` is 1 to 1000, by default 50. If the page has `more`,
 *   continue with its `before`. Rejects with a `Problem` or `Unreachable`, and with a TypeError if `before`
 *   or `limit` is wrong
 * @property {(addresses: readonly string[]) => void} watch replaces the addresses whose presence `onEvent`
 *   receives, up to 100. Throws a TypeError if one is not an address, or if there are too many
 * @property {() => void} reconnect tries to connect at once
 * @property {() => void} close closes the connection. Messages in the outbox are still sent
 * @property {(options?: { discard?: boolean }) => Promise<void>} signOut ends all connections to the service
 *   in this browser, removes everything that is stored for it, and ends the session; a page with a token must
 *   forget the token itself. While messages are unsent, rejects with `Unsent` and does nothing, unless
 *   `discard` is set. Rejects with a `Problem` or `Unreachable` if the service could not be told: the cookie
 *   is still valid then, so sign out again. Messages that somebody else left in an earlier session are
 *   neither counted nor removed: they wait for their sender
 * @property {string | undefined} cursor the position: all messages up to it have come and were taken
 * @property {readonly Entry[]} outbox the messages that wait to be stored, the oldest first
 * @property {Status} status the current status
 */

/** A connection to inboxes, with its outbox. @typedef {Readonly<Members> & AsyncDisposable} Connection */

/**
 * Follows inboxes and sends messages.
 *
 * All tabs of a browser that follow the same inboxes share one stream. The browser stores the position, so a
 * reload or a night's sleep misses nothing and repeats nothing.
 *
 * @param {Options} options
 * @returns {Connection} the connection, which opens by itself
 * @throws {TypeError} if an option is unknown or breaks its rule
 */
export function connect(options) {
  return openClient(checkOptions(options));
}
