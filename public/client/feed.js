import { backoff, pause, spread } from './backoff.js';
import { getPage } from './polls.js';
import { follow, idOf } from './position.js';

/** @import { GapReason, News } from './position.js' */
/** @import { Frame } from './stream.js' */
/** @import { Service } from './service.js' */

/**
 * A message as the service sends it. One that is not stored (`ephemeral`) has no `id`.
 *
 * @typedef {object} Message
 * @property {number} [id]
 * @property {string} sender
 * @property {string} recipient
 * @property {string} type
 * @property {unknown} content
 * @property {string} createdAt
 * @property {string} [idempotencyKey]
 * @property {string} [expiresAt]
 * @property {true} [background] it is not unread, makes no conversation and notifies nobody
 */

/** The frame that opens a stream. @typedef {{ type: 'ready', cursor: string, gap: false | GapReason }} Ready */

/** A message that is stored. @typedef {Message & { id: number }} Stored */

/**
 * A page of messages.
 *
 * @typedef {object} Page
 * @property {Stored[]} messages the oldest first
 * @property {string} cursor
 * @property {false | GapReason} gap
 * @property {boolean} more
 * @property {number} [before] where to go on, if the page was read backwards and is not the last
 */

/**
 * The presence of an address.
 *
 * @typedef {{ type: 'presence', recipient: string, online: boolean, devices: number, lastSeen: string | null }} Presence
 */

/**
 * The events of a feed.
 *
 * @typedef {object} FeedEvents
 * @property {(message: Stored) => unknown} onMessage if it returns a promise, that is awaited before anything else is told
 * @property {(event: Presence | Message) => void} onEvent
 * @property {(gap: { reason: GapReason, cursor: string }) => void} onGap
 * @property {(cursor: string, again: boolean) => void} onMoved the position is another; `again`: it went back
 */

/** If a page takes messages more slowly than they come, only so many wait. The others are fetched when it has taken these. */
const MAX_WAITING = 1000;

/** @typedef {ReturnType<typeof createFeed>} Feed */

/**
 * Creates the feed of one page: it tells each message once and in order, one at a time. It does what position.js says.
 *
 * @param {Service} service
 * @param {readonly (readonly [string, string])[]} inboxes as parameters of a query
 * @param {string | undefined} position the cursor to begin at; `undefined`: that of the first stream
 * @param {FeedEvents} events
 */
export function createFeed(service, inboxes, position, events) {
  /** Work that waits, in order. @type {(() => Promise<unknown> | undefined)[]} */
  const waiting = [];
  /** The newest cursor of those that found no room. @type {string | undefined} */
  let skipped;
  let isDraining = false;
  const closed = new AbortController();
  const { signal } = closed;
  /** Ends a wait for another try. */
  let wake = new AbortController();

  /** Does each effect of a piece of news, which has led to a position. */
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

  /** @param {News} news @returns {Promise<unknown> | undefined} what the page is busy with */
  function apply(news) {
    const step = follow(position, news);
    position = step.position;
    /** @type {unknown} */
    let done;
    for (const effect of step.effects) done = effects[effect](news, /** @type {string} */ (position));
    return done instanceof Promise ? done : undefined;
  }

  /** Takes news, unless the feed is closed. @param {News} news */
  function hear(news) {
    return signal.aborted ? undefined : apply(news);
  }

  /** @param {() => Promise<unknown> | undefined} work */
  function enqueue(work) {
    waiting.push(work);
    if (!isDraining) void drain();
  }

  /** Does one after the other. Nothing is awaited unless it must be, so that messages are told as they come. */
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
      // Of the same log as the page: if another takes its place, a cursor without its mark would seem good.
      const own = cursor.replace(/^\d+/, String(message.id));
      await hear({ type: 'message', message, cursor: own });
    }
    void hear({ type: 'live', cursor });
  }

  /** Asks for what is missing, at least once. @param {string} cursor */
  async function fetchUpTo(cursor) {
    for (let tries = 0; !signal.aborted;) {
      // Read first: a wake-up during the request must not be missed.
      const awake = wake.signal;
      try {
        const page = await getPage({ service, inboxes }, { after: position ?? '0' }, { signal });
        await tellPage(page);
        // Without more, the log is shorter than it was when that cursor was given.
        if (!page.more || idOf(position) >= idOf(cursor)) return;
      } catch {
        await pause(spread(backoff(tries++)), awake);
      }
    }
  }

  /** Ends a wait: the service was reached, by this tab or another. */
  function tryAgain() {
    wake.abort();
    wake = new AbortController();
  }

  return {
    /** The cursor up to which everything was told and taken; `undefined` before the first stream. */
    get cursor() {
      return position;
    },

    /** Tells nothing more. */
    close() {
      closed.abort();
      wake.abort();
    },

    /**
     * Takes a frame of a stream.
     *
     * @param {Frame} frame
     * @param {string | undefined} before the cursor of that stream before the frame; messages between the position and it are
     *   fetched first. `undefined` if the stream began at the position
     */
    take({ event, id, data }, before) {
      if (event === 'ready') {
        tryAgain();
        // All that was skipped comes again.
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
        // Other frames have no cursor, and mean nothing to the position.
        const news = event === 'message' ? { type: event, cursor: id, message: value } : value;
        return after(caughtUp, () => hear(/** @type {News} */ (news)));
      });
    },

    /**
     * Fetches what is missing up to a cursor.
     *
     * @param {string} cursor
     * @param {boolean} asks whether to ask the service even if this feed is ahead: the log may be restored from an older backup
     */
    catchUp(cursor, asks) {
      tryAgain();
      enqueue(() => hear({ type: 'before', cursor, asks }));
    },

    /** Takes a page that was polled from the position on. @param {Page} page @returns {Promise<void>} */
    takePage(page) {
      return new Promise((taken) => enqueue(() => tellPage(page).then(taken)));
    },
  };
}

/**
 * Goes on after some work: at once if there is nothing to wait for.
 *
 * @template Result
 * @param {unknown} work
 * @param {() => Result} then
 */
function after(work, then) {
  return work instanceof Promise ? work.then(then) : then();
}
