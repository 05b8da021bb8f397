import { baseUrl } from './environment.js';
import { asFault, Problem } from './errors.js';

/** @import { Token } from './credential.js' */

/** An answer that takes longer than this, beyond what it was asked to wait, does not come any more. */
const PATIENCE_MILLISECONDS = 10_000;

/** The media type of the service's refusals (RFC 9457 §3). */
const PROBLEM = 'application/problem+json';
const EVENT_STREAM = 'text/event-stream';

/** How often the clock is looked at. */
const LOOK_MILLISECONDS = 1000;

/** Names and values of a query. @typedef {Iterable<readonly [string, string]>} Query */

/** The service over HTTP. @typedef {ReturnType<typeof createService>} Service */

/**
 * Returns the service over HTTP, with the session cookie of the browser or with a token. Every request rejects with a `Problem` if
 * the service refuses it, and with an `Unreachable` if there is no answer of the service.
 *
 * @param {URL | string} base its URL: everything before `messages`, with a slash at its end
 * @param {Token} [token] sent with each request, instead of cookies
 */
export function createService(base, token) {
  // Without its query and fragment: the address of a page changes, and all of them share the service.
  const root = new URL('.', new URL(base, baseUrl()));

  /** @param {string} path such as `messages` @param {Query} query */
  function url(path, query = []) {
    const url = new URL(path, root);
    for (const [name, value] of query) url.searchParams.append(name, value);
    return url;
  }

  /**
   * Sends a request. If its token has expired, it is sent again with another.
   *
   * @param {URL} url
   * @param {{ signal: AbortSignal, method?: string, headers?: Record<string, string>, body?: string | null }} init
   */
  async function request(url, init) {
    if (token === undefined) return fetch(url, { ...init, credentials: 'include' });
    const answerTo = (/** @type {string} */ value) =>
      fetch(url, {
        ...init,
        credentials: 'omit',
        headers: { ...init.headers, Authorization: `Bearer ${value}` },
      });
    const value = await token.value();
    const { version } = token;
    const response = await answerTo(value);
    return response.status === 401 ? answerTo(await token.renew(version)) : response;
  }

  /**
   * @param {URL} url
   * @param {{ method?: string, headers?: Record<string, string>, body?: string | null }} init
   * @param {number} [wait] milliseconds that the answer may be held
   * @param {AbortSignal} [signal]
   * @returns {Promise<unknown>} the answer's body
   */
  async function json(url, init, wait = 0, signal) {
    const late = new AbortController();
    // Timers stand still while the machine sleeps, and the clock does not.
    const deadline = Date.now() + wait + PATIENCE_MILLISECONDS;
    const look = setInterval(() => {
      if (Date.now() > deadline) late.abort();
    }, LOOK_MILLISECONDS);
    try {
      const any = AbortSignal.any(signal === undefined ? [late.signal] : [late.signal, signal]);
      return await bodyOf(await request(url, { ...init, signal: any }), init.method === undefined);
    } catch (error) {
      throw asFault(error);
    } finally {
      clearInterval(look);
    }
  }

  const service = {
    /** A name that no other service has in the browser's storage. */
    name: root.href,

    /** The token that requests carry; `undefined` if they carry the session cookie. */
    token,

    url,

    /**
     * Asks for JSON.
     *
     * @param {string} path
     * @param {Query} query
     * @param {{ signal?: AbortSignal, wait?: number }} [options] `wait`: milliseconds that the answer may be held
     */
    get: (path, query, { signal, wait } = {}) => json(url(path, query), {}, wait, signal),

    /**
     * Sends JSON.
     *
     * @param {string} path
     * @param {unknown} body
     */
    post: (path, body) =>
      service.send('POST', path, { 'Content-Type': 'application/json' }, JSON.stringify(body)),

    /**
     * @param {'POST' | 'PUT' | 'DELETE'} method
     * @param {string} path
     * @param {Record<string, string>} [headers]
     * @param {string} [body]
     */
    send: (method, path, headers = {}, body = '') => json(url(path), { method, headers, body: body || null }),

    /**
     * Opens a stream.
     *
     * @param {URL} url
     * @param {AbortSignal} signal ends it
     * @returns {Promise<NonNullable<Response['body']>>} its bytes
     */
    async openStream(url, signal) {
      try {
        const response = await request(url, { headers: { Accept: EVENT_STREAM }, signal });
        const isStream = response.headers.get('Content-Type')?.startsWith(EVENT_STREAM);
        if (response.ok && response.body !== null && isStream === true) return response.body;
        await bodyOf(response, false);
        throw new Error('the answer is not a stream');
      } catch (error) {
        throw asFault(error);
      }
    },
  };
  return service;
}

/**
 * Returns the JSON of an answer.
 *
 * @param {Response} response
 * @param {boolean} isRead whether a 403 of something on the way may be asked again forever
 * @returns {Promise<unknown>} `undefined` if it is empty
 * @throws {Error} if it is not of the service, or cannot be read
 * @throws {Problem}
 */
async function bodyOf(response, isRead) {
  const { ok, status, statusText, headers } = response;
  const text = await response.text();
  /** @type {unknown} */
  let body;
  try {
    body = text === '' ? {} : JSON.parse(text);
  } catch {
    // A proxy's error page.
  }
  // A captive portal or a sign-in page before the service: its 200 stores nothing. A proxy that finds no service says 404 while the
  // service restarts; the service's own 404 is a problem.
  const isForeign = ok
    ? body === undefined
    : !headers.get('Content-Type')?.startsWith(PROBLEM) && (status === 404 || (status === 403 && isRead));
  if (isForeign) throw new Error('the answer is not of the service');
  if (ok) return body;
  const { detail = statusText || `status ${status}`, errors } =
    /** @type {{ detail?: string, errors?: { path: string, message: string }[] }} */ (body ?? {});
  throw new Problem(status, detail, { retryAfter: Number(headers.get('Retry-After')) || undefined, errors });
}
