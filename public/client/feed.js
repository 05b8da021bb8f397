import { backoff, pause, spread } from './backoff.js';
import { getPage } from './polls.js';
import { follow, idOf } from './position.js';

/** @import { GapReason, News } from './position.js' */
/** @import { Frame } from './stream.js' */
/** @import { Service } from './service.js' */

/**
 * A message as the service sends it. An ephemeral message, which is not stored, has no `id`.
 *
 * @typedef {object} Message
 * @property {number} [id] greater than the ids of all earlier messages
 * @property {string} sender an address
 * @property {string} recipient an address
 * @property {string} type `message` unless its sender gave another one
 * @property {unknown} content a JSON value
 * @property {string} createdAt when it was stored: an ISO 8601 time in UTC
 * @property {string} [idempotencyKey]
 * @property {string} [expiresAt] when it expires: an ISO 8601 time in UTC
 * @property {true} [background] set if it is not unread, makes no conversation and notifies nobody
 */

/**
 * The frame that opens a stream.
 *
 * @typedef {{ type: 'ready', cursor: string, gap: false | GapReason }} Ready
 */

/** A message that is stored. @typedef {Message & { id: number }} Stored */

/**
 * A page of messages.
 *
 * @typedef {object} Page
 * @property {Stored[]} messages the oldest first
 * @property {string} cursor the position to continue at, for newer messages
 * @property {false | GapReason} gap why messages are missing, if some are
 * @property {boolean} more whether there are more messages
 * @property {number} [before] the id to continue at, if the page was read backwards and is not the last
 */

/**
 * The presence of an address. `devices`: how many streams, sockets and held polls follow it now; `lastSeen`:
 * an ISO 8601 time in UTC, or null if it was not seen since the start of the service.
 *
 * @typedef {{ type: 'presence', recipient: string, online: boolean, devices: number, lastSeen: string | null }} Presence
 */

/**
 * The events of a feed.
 *
 * @typedef {object} FeedEvents
 * @property {(message: Stored) => unknown} onMessage if it returns a promise, everything else waits for it
 * @property {(event: Presence | Message) => void} onEvent
 * @property {(gap: { reason: GapReason, cursor: string }) => void} onGap
 * @property {(cursor: string, again: boolean) => void} onMoved the position has changed; `again`: it went
 *   back
 */

/**
 * How many messages wait if a page takes them more slowly than they come. The others are fetched after these.
 */
const MAX_WAITING = 1000;

/** @typedef {ReturnType<typeof createFeed>} Feed */

/**
 * Creates the feed of one page: it tells each message once and in order, one at a time. It does what
 * position.js says.
 *
 * @param {Service} service
 * @param {readonly (readonly [string, string])[]} inboxes as parameters of a query
 * @param {string | undefined} position the cursor to begin at; `undefined` for the cursor of the first stream
 * @param {FeedEvents} events
 */
export function createFeed(service, inboxes, position, events) {
  /** The work that waits, in order. @type {(() => Promise<unknown> | undefined)[]} */
  const waiting = [];
  /** The newest cursor of the frames that found no room. @type {string | undefined} */
  let skipped;
  let isDraining = false;
  const closed = new AbortController();
  const { signal } = closed;
  /** Aborted to end a wait for the next try. */
  let wake = new AbortController();

  /** Carries out the effects of a piece of news, with the position that it led to. */
  const effects = {
    // A page may close the connection while it takes a message, which counts as taken.
    tell: (/** @type {News} */ { message, cursor }) =>
      after(events.onMessage(/** @type {Stored} */ (message)), () => apply({ type: 'live', cursor })),
    fetch: (/** @type {News} */ { cursor }) => fetchUpTo(cursor),
    keep: (/** @type {News} */ _news, /** @type {string} */ cursor) => events.onMoved(cursor, false),
    'keep-again': (/** @type {News} */ _news, /** @type {string} */ cursor) => events.onMoved(cursor, true),
    gap: (/** @type {News} */ { gap }, /** @type {string} */ cursor) =>
      events.onGap({ reason: /** @type {GapReason} */ (gap), cursor }),
  };

  /**
   * @param {News} news
   * @returns {Promise<unknown> | undefined} a promise if the page is busy with a message
   */
  function apply(news) {
    const step = follow(position, news);
    position = step.position;
    /** @type {unknown} */
    let done;
    for (const effect of step.effects) done = effects[effect](news, /** @type {string} */ (position));
    return done instanceof Promise ? done : undefined;
  }

  /** Applies news, unless the feed is closed. @param {News} news */
  function hear(news) {
    return signal.aborted ? undefined : apply(news);
  }

  /** @param {() => Promise<unknown> | undefined} work */
  function enqueue(work) {
    waiting.push(work);
    if (!isDraining) void drain();
  }

  /** Does one piece of work after another. Awaits only what it must, so messages are told as they come. */
  async function drain() {
    isDraining = true;
    for (let work = waiting.shift(); work !== undefined; work = waiting.shift()) {
      const done = work();
      if (done !== undefined) await done;
    }
    isDraining = false;
  }

  function fetchSkipped() {
    const cursor = skipped;
    skipped = undefined;
    return cursor === undefined ? undefined : hear({ type: 'before', cursor });
  }

  /** @param {Page} page */
  async function tellPage({ messages, cursor, gap }) {
    if (gap !== false) void hear({ type: 'gap', gap, cursor: '0' });
    for (const message of messages) {
      // With the mark of the page's log: without it, a cursor would seem valid even in another log.
      const own = cursor.replace(/^\d+/, String(message.id));
      await hear({ type: 'message', message, cursor: own });
    }
    void hear({ type: 'live', cursor });
  }

  /** Fetches what is missing up to a cursor, with at least one request. @param {string} cursor */
  async function fetchUpTo(cursor) {
    for (let tries = 0; !signal.aborted;) {
      // Read first: a wake-up during the request must not be missed.
      const awake = wake.signal;
      try {
        const page = await getPage({ service, inboxes }, { after: position ?? '0' }, { signal });
        await tellPage(page);
        // If there is no more, the log has become shorter since that cursor was given.
        if (!page.more || idOf(position) >= idOf(cursor)) return;
      } catch {
        await pause(spread(backoff(tries++)), awake);
      }
    }
  }

  /** Ends a wait for the next try: the service was reached, by this tab or another. */
  function tryAgain() {
    wake.abort();
    wake = new AbortController();
  }

  return {
    /** The cursor up to which everything was told and taken; `undefined` before the first stream. */
    get cursor() {
      return position;
    },

    /** Stops telling messages. */
    close() {
      closed.abort();
      wake.abort();
    },

    /**
     * Takes a frame of a stream.
     *
     * @param {Frame} frame
     * @param {string | undefined} before the cursor of that stream before the frame; messages between the
     *   position and this cursor are fetched first. `undefined` if the stream began at the position
     */
    take({ event, id, data }, before) {
      if (event === 'ready') {
        tryAgain();
        // Everything that was skipped comes again.
        skipped = undefined;
      } else if (id !== '' && (skipped !== undefined || waiting.length >= MAX_WAITING)) {
        if (skipped === undefined) enqueue(fetchSkipped);
        skipped = id;
        return;
      }
      /** @type {unknown} */
      const value = JSON.parse(data);
      // Presence and ephemeral messages have no place in the order: they are told at once.
      if (event === 'presence' || (event === 'message' && id === '')) {
        events.onEvent(/** @type {Presence | Message} */ (value));
        return;
      }
      enqueue(() => {
        const caughtUp = before && hear({ type: 'before', cursor: before });
        // Other frames are their own news. Those without a cursor do not change the position.
        const news = event === 'message' ? { type: event, cursor: id, message: value } : value;
        return after(caughtUp, () => hear(/** @type {News} */ (news)));
      });
    },

    /**
     * Fetches what is missing up to a cursor.
     *
     * @param {string} cursor
     * @param {boolean} asks whether to ask the service even if this feed is ahead: the log may have been
     *   restored from an older backup
     */
    catchUp(cursor, asks) {
      tryAgain();
      enqueue(() => hear({ type: 'before', cursor, asks }));
    },

    /**
     * Takes a page that was polled, beginning at the position.
     *
     * @param {Page} page
     * @returns {Promise<void>}
     */
    takePage(page) {
      return new Promise((taken) => enqueue(() => tellPage(page).then(taken)));
    },
  };
}

/**
 * Continues after some work: at once if there is nothing to wait for.
 *
 * @template Result
 * @param {unknown} work
 * @param {() => Result} then
 */
function after(work, then) {
  return work instanceof Promise ? work.then(then) : then();
}
