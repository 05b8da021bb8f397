import { idOf } from './feed.js';
import { Problem } from './service.js';

/** @import { Page } from './feed.js' */
/** @import { Service } from './service.js' */

const POLL_SECONDS = 25;
const PAGE = 1000;

/**
 * @typedef {object} PollEvents
 * @property {(page: Page) => void} onPage
 * @property {() => Promise<void>} onExpired resolves when it is time to try again
 */

/** Polls, page after page, from a cursor on: what stands in for a stream. */
export class Polls {
  /** Whether they do not come through either. */
  failed = false;
  /** Resolves when they failed or were stopped. @type {Promise<void>} */
  ended;
  #service;
  #inboxes;
  #cursor;
  #last;
  #events;
  #stopped = new AbortController();

  /**
   * @param {Service} service
   * @param {readonly [string, string][]} inboxes as they stand in a query
   * @param {() => string | undefined} cursor from where on
   * @param {number} last how many of the newest messages, where there is no cursor
   * @param {PollEvents} events
   */
  constructor(service, inboxes, cursor, last, events) {
    this.#service = service;
    this.#inboxes = inboxes;
    this.#cursor = cursor;
    this.#last = last;
    this.#events = events;
    this.ended = this.#run();
  }

  stop() {
    this.#stopped.abort();
  }

  async #run() {
    const isOver = () => this.#stopped.signal.aborted;
    let wait = 0;
    while (!isOver()) {
      try {
        const cursor = this.#cursor();
        const page = await (cursor === undefined ? this.#newest() : this.#after(cursor, wait));
        if (!isOver()) this.#events.onPage(page);
        wait = POLL_SECONDS;
      } catch (error) {
        if (isOver()) return;
        if (error instanceof Problem && error.status === 401) {
          await this.#events.onExpired();
          // Not held: its answer tells that the session is well.
          wait = 0;
        } else {
          this.failed = true;
          return;
        }
      }
    }
  }

  /**
   * @param {string} cursor
   * @param {number} wait seconds
   * @returns {Promise<Page>}
   */
  async #after(cursor, wait) {
    /** @type {[string, string][]} */
    const query = [...this.#inboxes, ['after', cursor], ['limit', String(PAGE)], ['wait', String(wait)]];
    const options = { signal: this.#stopped.signal, wait: wait * 1000 };
    return /** @type {Page} */ (await this.#service.get('messages', query, options));
  }

  /**
   * What a stream without a cursor begins with. History is read of one inbox at a time, so what was stored meanwhile
   * is left to the next page.
   *
   * @returns {Promise<Page>}
   */
  async #newest() {
    const limit = String(Math.max(1, this.#last));
    const { signal } = this.#stopped;
    /** @type {Page[]} */
    const pages = [];
    for (const inbox of this.#last > 0 ? this.#inboxes : this.#inboxes.slice(0, 1)) {
      /** @type {[string, string][]} */
      const query = [inbox, ['before', 'latest'], ['limit', limit]];
      pages.push(/** @type {Page} */ (await this.#service.get('messages', query, { signal })));
    }
    const cursor = pages[0]?.cursor ?? '0';
    const byId = new Map(pages.flatMap(({ messages }) => messages.map((message) => [message.id, message])));
    const messages = [...byId.values()]
      .filter(({ id }) => id <= idOf(cursor))
      .sort((one, other) => one.id - other.id);
    // `slice(-0)` would be all of them.
    return { messages: this.#last > 0 ? messages.slice(-this.#last) : [], cursor, gap: false, more: false };
  }
}
