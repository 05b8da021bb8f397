/** An answer that is not what was asked for: the problem that the service told (RFC 9457). */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {string} detail a sentence for a person
   * @param {number | undefined} retryAfter seconds, where the service said when to come back
   */
  constructor(status, detail, retryAfter) {
    super(detail);
    this.name = 'Problem';
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may pass later. */
  get passes() {
    return this.status === 401 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** The service was not reached: no answer at all, or none in time. */
export class Unreachable extends Error {
  /** @param {unknown} cause */
  constructor(cause) {
    super('the service cannot be reached', { cause });
    this.name = 'Unreachable';
  }
}

/** An answer that takes longer than this, beyond what it was asked to wait, does not come any more. */
const PATIENCE_MILLISECONDS = 10_000;

/** What the service calls its refusals (RFC 9457 §3). */
const PROBLEM = 'application/problem+json';

/** How often the clock is looked at. */
const LOOK_MILLISECONDS = 1000;

/** The service over HTTP, with the session cookie of the browser. */
export class Service {
  #base;

  /** @param {URL | string} base where it is: everything before `messages`, with a slash at its end */
  constructor(base) {
    // Without what follows: the address of a page changes with its fragment, and all of them share the service.
    this.#base = new URL('.', new URL(base, document.baseURI));
  }

  /** What tells this service from another in the browser's storage. */
  get name() {
    return this.#base.href;
  }

  /**
   * @param {string} path such as `messages`
   * @param {Iterable<[string, string]>} query
   */
  url(path, query = []) {
    const url = new URL(path, this.#base);
    for (const [name, value] of query) url.searchParams.append(name, value);
    return url;
  }

  /**
   * Asks for JSON.
   *
   * @param {string} path
   * @param {Iterable<[string, string]>} query
   * @param {{ signal?: AbortSignal, wait?: number }} [options] `wait`: milliseconds that the answer may be held
   * @returns {Promise<unknown>}
   * @throws {Problem | Unreachable}
   */
  get(path, query, { signal, wait = 0 } = {}) {
    return this.#request(this.url(path, query), {}, wait, signal);
  }

  /**
   * Sends JSON.
   *
   * @param {string} path
   * @param {unknown} body
   * @returns {Promise<unknown>} the answer's body
   * @throws {Problem | Unreachable}
   */
  post(path, body) {
    const headers = { 'Content-Type': 'application/json' };
    return this.#request(this.url(path), { method: 'POST', headers, body: JSON.stringify(body) }, 0);
  }

  /**
   * Sends a request.
   *
   * @param {'PUT' | 'DELETE'} method
   * @param {string} path
   * @param {Record<string, string>} headers
   * @param {string} [body]
   * @returns {Promise<unknown>} the answer's body
   * @throws {Problem | Unreachable}
   */
  send(method, path, headers, body) {
    return this.#request(this.url(path), { method, headers, ...(body === undefined ? {} : { body }) }, 0);
  }

  /**
   * Asks what a path would answer: EventSource does not say why it was refused.
   *
   * @param {URL} url
   * @returns {Promise<Problem | undefined>} `undefined` where nothing is wrong with it
   * @throws {Unreachable}
   */
  async probe(url) {
    try {
      await this.#request(url, { method: 'HEAD' }, 0);
      return undefined;
    } catch (error) {
      if (error instanceof Problem) return error;
      throw error;
    }
  }

  /**
   * @param {URL} url
   * @param {RequestInit} init
   * @param {number} wait
   * @param {AbortSignal} [signal]
   * @returns {Promise<unknown>}
   */
  async #request(url, init, wait, signal) {
    const patience = wait + PATIENCE_MILLISECONDS;
    const slept = new AbortController();
    const signals = [AbortSignal.timeout(patience), slept.signal, ...(signal === undefined ? [] : [signal])];
    // Timers stand still while the machine sleeps, and the clock does not.
    const deadline = Date.now() + patience;
    const look = setInterval(() => {
      if (Date.now() > deadline) slept.abort();
    }, LOOK_MILLISECONDS);
    let response;
    let text;
    try {
      response = await fetch(url, { ...init, credentials: 'include', signal: AbortSignal.any(signals) });
      text = await response.text();
    } catch (error) {
      throw new Unreachable(error);
    } finally {
      clearInterval(look);
    }
    const body = parse(text);
    if (response.ok) {
      // The page of a captive portal or of a sign-in before the service: its 200 stores nothing.
      if (text !== '' && body === undefined)
        throw new Unreachable(new Error('the answer is not of the service'));
      return body;
    }
    // A proxy that finds no service says so while it is started anew; the service's own 404 is a problem.
    const isForeign = !response.headers.get('Content-Type')?.startsWith(PROBLEM);
    if (isForeign && (response.status === 404 || (response.status === 403 && init.method === undefined)))
      throw new Unreachable(new Error('the answer is not of the service'));
    const after = Number(response.headers.get('Retry-After'));
    const { detail = response.statusText } = /** @type {{ detail?: string }} */ (body ?? {});
    throw new Problem(response.status, detail, after > 0 ? after : undefined);
  }
}

/**
 * @param {string} text
 * @returns {unknown} `undefined` where it is no JSON, as an error page of a proxy is not
 */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
