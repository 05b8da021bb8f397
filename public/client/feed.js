import { Backoff, pause } from './backoff.js';

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

/** @typedef {Message & { id: number }} Stored a message that is stored */

/** @typedef {'purged' | 'restored' | 'unknown'} GapReason */

/**
 * What a poll is answered.
 *
 * @typedef {object} Page
 * @property {Stored[]} messages
 * @property {string} cursor
 * @property {false | GapReason} gap
 * @property {boolean} more
 * @property {number} [before] where to go on, of a page that was read back and is not the last
 */

/**
 * What is not stored: presence, or an ephemeral message.
 *
 * @typedef {{ type: 'presence', recipient: string, online: boolean, devices: number, lastSeen: string | null }} Presence
 */

/**
 * What a feed tells its page.
 *
 * @typedef {object} FeedEvents
 * @property {(message: Stored) => void} onMessage
 * @property {(event: Presence | Message) => void} onEvent
 * @property {(gap: { reason: GapReason, cursor: string }) => void} onGap
 * @property {(cursor: string, again: boolean) => void} onMoved the position is another; `again`: it went back
 */

/**
 * What is to be done: what is missing up to `before` is fetched, and then the frame is told. `asks`: the service is asked
 * also where nothing seems to be missing.
 *
 * @typedef {{ frame?: Frame, before: string | undefined, asks: boolean }} Step
 */

const PAGE = 1000;

/**
 * The id of a cursor: `42-k3f9` is 42.
 *
 * @param {string} cursor
 */
export function idOf(cursor) {
  return Number(/^\d+/.exec(cursor)?.[0] ?? 0);
}

/**
 * What one page has been shown: a message is told exactly when its id is greater than the position, which then becomes
 * that id. Whether it came by a stream of this tab, from another tab or by a poll makes no difference, so a change from
 * one to another can neither lose nor repeat.
 */
export class Feed {
  #service;
  #inboxes;
  #events;
  /** @type {string | undefined} */
  #cursor;
  /** @type {Step[]} */
  #waiting = [];
  #fetching = false;
  #closed = new AbortController();
  /** Ends a wait for another try. */
  #wake = new AbortController();

  /**
   * @param {Service} service
   * @param {readonly [string, string][]} inboxes as they stand in a query
   * @param {string | undefined} cursor where it begins; `undefined`: where the first stream does
   * @param {FeedEvents} events
   */
  constructor(service, inboxes, cursor, events) {
    this.#service = service;
    this.#inboxes = inboxes;
    this.#cursor = cursor;
    this.#events = events;
  }

  /** Up to where everything was told; `undefined` before the first stream. */
  get cursor() {
    return this.#cursor;
  }

  close() {
    this.#closed.abort();
    this.#waiting = [];
  }

  /**
   * Takes a frame of a stream.
   *
   * @param {Frame} frame
   * @param {string | undefined} before where that stream was before it. Past the position of this feed, something is
   *   missing in between: it is fetched first
   */
  take(frame, before) {
    if (frame.event === 'ready') this.#tryAgain();
    this.#enqueue({ frame, before, asks: false });
  }

  /**
   * Fetches what is missing up to a cursor.
   *
   * @param {string} cursor
   * @param {boolean} asks whether the service is asked also where this feed is ahead: the log may have gone back in time
   */
  catchUp(cursor, asks) {
    this.#tryAgain();
    this.#enqueue({ before: cursor, asks });
  }

  /**
   * Takes a page that was polled from its position on.
   *
   * @param {Page} page
   */
  takePage({ messages, cursor, gap }) {
    if (gap !== false) this.#gap(gap, '0');
    for (const message of messages) this.#tell(message, undefined);
    this.#move(cursor);
  }

  /** The service was reached, by this tab or by another: what is waited for may come now. */
  #tryAgain() {
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  /** @param {Step} next */
  #enqueue(next) {
    this.#waiting.push(next);
    if (!this.#fetching) void this.#drain();
  }

  async #drain() {
    this.#fetching = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const { frame, before, asks } = next;
      const start = before ?? frame?.id ?? '';
      if (this.#cursor === undefined && start !== '') this.#move(start);
      if (before !== undefined && (this.#isBehind(before) || (asks && before !== this.#cursor)))
        await this.#fetchUpTo(before);
      if (this.#closed.signal.aborted) return;
      if (frame !== undefined) this.#apply(frame);
    }
    this.#fetching = false;
  }

  /** @param {string} cursor */
  #isBehind(cursor) {
    return idOf(this.#cursor ?? '0') < idOf(cursor);
  }

  /** Asks for what is missing, at least once. @param {string} cursor */
  async #fetchUpTo(cursor) {
    const backoff = new Backoff();
    const { signal } = this.#closed;
    for (let isOver = false; !isOver && !signal.aborted;) {
      // Taken first: what wakes it while it asks must not be missed.
      const wake = this.#wake.signal;
      try {
        /** @type {[string, string][]} */
        const query = [...this.#inboxes, ['after', this.#cursor ?? '0'], ['limit', String(PAGE)]];
        const page = /** @type {Page} */ (await this.#service.get('messages', query, { signal }));
        this.takePage(page);
        backoff.reset();
        // Without more, the log is shorter than it was when that cursor was given.
        isOver = !page.more || !this.#isBehind(cursor);
      } catch {
        await pause(backoff.next(), AbortSignal.any([signal, wake]));
      }
    }
  }

  /** @param {Frame} frame */
  #apply({ event, id, data }) {
    /** @type {unknown} */
    const value = JSON.parse(data);
    if (event === 'presence' || (event === 'message' && id === '')) {
      this.#events.onEvent(/** @type {Presence | Message} */ (value));
    } else if (event === 'message') {
      this.#tell(/** @type {Stored} */ (value), id);
    } else if (event === 'ready') {
      const { gap, cursor } = /** @type {{ gap: false | GapReason, cursor: string }} */ (value);
      const ahead = idOf(this.#cursor ?? '0') > idOf(cursor);
      // One that was told more than where the stream begins lacks less, or was told it of a log that is lost: its own
      // next page says.
      if (ahead && (gap === false || gap === 'purged')) this.#waiting.unshift({ before: cursor, asks: true });
      else if (gap !== false) this.#gap(gap, cursor);
    } else if (event === 'live') {
      this.#move(id);
    }
  }

  /**
   * @param {Stored} message
   * @param {string | undefined} cursor
   */
  #tell(message, cursor) {
    if (this.#closed.signal.aborted || message.id <= idOf(this.#cursor ?? '0')) return;
    this.#cursor = cursor ?? String(message.id);
    this.#events.onMessage(message);
    this.#events.onMoved(this.#cursor, false);
  }

  /**
   * @param {GapReason} reason
   * @param {string} begin where it begins anew, unless the log was purged: then it goes on where it was
   */
  #gap(reason, begin) {
    if (this.#closed.signal.aborted) return;
    const cursor = reason === 'purged' ? (this.#cursor ?? begin) : begin;
    this.#cursor = cursor;
    this.#events.onMoved(cursor, reason !== 'purged');
    this.#events.onGap({ reason, cursor });
  }

  /** @param {string} cursor */
  #move(cursor) {
    if (
      this.#closed.signal.aborted ||
      this.#cursor === cursor ||
      (this.#cursor !== undefined && idOf(cursor) < idOf(this.#cursor))
    )
      return;
    this.#cursor = cursor;
    this.#events.onMoved(cursor, false);
  }
}
