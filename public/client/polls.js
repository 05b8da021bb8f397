/** @import { Page } from './feed.js' */
/** @import { Service } from './service.js' */

const POLL_SECONDS = 25;

/**
 * The inboxes to follow.
 *
 * @typedef {object} Inboxes
 * @property {Service} service
 * @property {readonly (readonly [string, string])[]} inboxes as query parameters
 */

/**
 * Polls page after page, from a cursor on, in place of a stream. The service does not hold the first answer,
 * which shows that the session is valid.
 *
 * @param {Inboxes & { cursor: () => string | undefined, last: number }} inboxes `cursor` returns the cursor
 *   to continue from; `last`: how many of the newest messages to get if there is none
 * @param {(page: Page) => Promise<void>} onPage resolves when the page's messages have been told
 * @param {AbortSignal} signal ends the polls
 * @throws {unknown} if a request fails, or if the polls were ended
 */
export async function poll(inboxes, onPage, signal) {
  const { cursor, last } = inboxes;
  for (let wait = 0; ; wait = POLL_SECONDS) {
    const after = cursor();
    // Without a cursor, begin as a stream does.
    const isFirst = after === undefined;
    const query = isFirst
      ? { before: 'latest', limit: String(Math.max(1, last)) }
      : { after, wait: String(wait) };
    const page = await getPage(inboxes, query, { signal, wait: wait * 1000 });
    signal.throwIfAborted();
    await onPage(
      isFirst ? { ...page, messages: page.messages.slice(0, last), gap: false, more: false } : page,
    );
  }
}

/**
 * Gets a page of messages.
 *
 * @param {Inboxes} inboxes
 * @param {Record<string, string>} query
 * @param {{ signal?: AbortSignal, wait?: number }} [options] `wait`: for how many milliseconds the service
 *   may hold the answer
 * @returns {Promise<Page>}
 * @throws {Problem | Unreachable}
 */
export async function getPage({ service, inboxes }, query, options) {
  const all = [...inboxes, ...Object.entries({ limit: '1000', ...query })];
  return /** @type {Page} */ (await service.get('messages', all, options));
}
