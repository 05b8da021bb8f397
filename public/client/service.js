import { baseUrl } from './environment.js';
import { asFault, Problem } from './errors.js';

/** @import { Token } from './credential.js' */

/** How long an answer may take, beyond the time for which the service was asked to hold it. */
const PATIENCE_MILLISECONDS = 10_000;

/** The media type of the service's refusals (RFC 9457 §3). */
const PROBLEM = 'application/problem+json';
const EVENT_STREAM = 'text/event-stream';

/** How often the clock is read. */
const LOOK_MILLISECONDS = 1000;

/** The names and values of a query. @typedef {Iterable<readonly [string, string]>} Query */

/** The service over HTTP. @typedef {ReturnType<typeof createService>} Service */

/**
 * Returns an interface to the service over HTTP. Requests carry the browser's session cookie, or a token.
 * Each request rejects with a `Problem` if the service refuses it, and with an `Unreachable` if the service
 * does not answer.
 *
 * @param {URL | string} base the service's URL: everything before `messages`, with a slash at its end
 * @param {Token} [token] sent with each request, instead of cookies
 */
export function createService(base, token) {
  // Drop the query and the fragment: they change with the page's address, and the service does not.
  const root = new URL('.', new URL(base, baseUrl()));

  /** @param {string} path such as `messages` @param {Query} query */
  function url(path, query = []) {
    const url = new URL(path, root);
    for (const [name, value] of query) url.searchParams.append(name, value);
    return url;
  }

  /**
   * Sends a request. If its token has expired, gets another token and sends the request again.
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
   * Sends a request, and reads the JSON of the answer.
   *
   * @param {URL} url
   * @param {{ method?: string, headers?: Record<string, string>, body?: string | null }} init
   * @param {number} [wait] for how many milliseconds the service may hold the answer
   * @param {AbortSignal} [signal]
   * @returns {Promise<unknown>} the answer's body
   */
  async function json(url, init, wait = 0, signal) {
    const late = new AbortController();
    // Timers stop while the machine sleeps, and the clock does not.
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
    /** A name for the browser's storage that no other service has. */
    name: root.href,

    /** The token that requests carry; `undefined` if they carry the session cookie. */
    token,

    url,

    /**
     * Gets JSON.
     *
     * @param {string} path
     * @param {Query} query
     * @param {{ signal?: AbortSignal, wait?: number }} [options] `wait`: for how many milliseconds the
     *   service may hold the answer
     */
    get: (path, query, { signal, wait } = {}) => json(url(path, query), {}, wait, signal),

    /**
     * Posts JSON.
     *
     * @param {string} path
     * @param {unknown} body
     */
    post: (path, body) =>
      service.send('POST', path, { 'Content-Type': 'application/json' }, JSON.stringify(body)),

    /**
     * Sends a request that changes something.
     *
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
     * @returns {Promise<NonNullable<Response['body']>>} the stream's bytes
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
 * @param {boolean} isRead whether the request only reads, so that it may be repeated forever after a proxy's
 *   403
 * @returns {Promise<unknown>} `{}` if the answer is empty
 * @throws {Error} if the answer did not come from the service, or cannot be read
 * @throws {Problem} if the service refused the request
 */
async function bodyOf(response, isRead) {
  const { ok, status, statusText, headers } = response;
  const text = await response.text();
  /** @type {unknown} */
  let body;
  try {
    body = text === '' ? {} : JSON.parse(text);
  } catch {
    // Perhaps a proxy's error page.
  }
  // A captive portal or a sign-in page in front of the service answers 200, but stores nothing. A proxy
  // answers 404 while the service restarts; the service's own 404 is a problem document.
  const isForeign = ok
    ? body === undefined
    : !headers.get('Content-Type')?.startsWith(PROBLEM) && (status === 404 || (status === 403 && isRead));
  if (isForeign) throw new Error('the answer did not come from the service');
  if (ok) return body;
  const { detail = statusText || `status ${status}`, errors } =
    /** @type {{ detail?: string, errors?: { path: string, message: string }[] }} */ (body ?? {});
  throw new Problem(status, detail, { retryAfter: Number(headers.get('Retry-After')) || undefined, errors });
}
