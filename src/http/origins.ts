import type { IncomingMessage, ServerResponse } from 'node:http';
import cors from 'cors';
import { Refusal } from '../errors.ts';
import { pathOf } from './query.ts';

/** Which pages may use the service from a browser, and which requests may come in at all. */
export interface OriginRules {
  /** No key is configured: everybody may do everything, so only this machine may come in. */
  readonly open: boolean;
  /** Origins of other sites whose pages may use the service with their users' sessions. */
  readonly allowed: readonly string[];
  /** Where clients reach the service; `undefined` where only the request tells. */
  readonly publicUrl: URL | undefined;
}

/** What a proxy or a tunnel adds: a request that carries one of them was not made on this machine. */
const FORWARDING =
  /^(forwarded|via|cdn-loop|cf-ray|cf-connecting-ip(v6)?|x-forwarded(-.*)?|x-original-(host|forwarded-.*)|x-real-ip|((x|true|fly|fastly|x-cluster)-)?client-ip)$/;

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i;

const HTTP = /^https?:$/;

/** Paths that a person has no reason to be led to. */
const DATA = /^\/(stream|ws|messages|conversations|presence|session|metrics|push-key|push-subscriptions)\b/;

const HINT = 'set AUTH_SECRET to let others in with tokens';

/** Whether a host, without its port, is a name of this machine for itself. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** Decides over requests by where they come from: `Host`, `Origin`, forwarding headers (CORS: WHATWG Fetch §3.2). */
export class Origins {
  readonly #rules: OriginRules;
  readonly #allow: ReturnType<typeof cors>;

  constructor(rules: OriginRules) {
    this.#rules = rules;
    this.#allow = cors({
      origin: true,
      credentials: true,
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
      allowedHeaders: ['Authorization', 'Content-Type', 'Idempotency-Key', 'Last-Event-ID', 'X-Request-Id'],
      exposedHeaders: ['Location', 'Retry-After', 'X-Request-Id'],
      maxAge: 600,
    });
  }

  /**
   * Lets a request in, with the headers that let an allowed page read the answer.
   *
   * @returns whether it is answered already: a preflight of an allowed page
   * @throws {Refusal} 403 in open mode, where it comes from anywhere but this machine
   */
  admit(request: IncomingMessage, response: ServerResponse): boolean {
    if (this.#rules.open) refuseForeign(request);
    const { origin } = request.headers;
    if (origin === undefined || !this.#mayRead(origin)) return false;
    // Only a preflight names the method that is to come; any other OPTIONS asks the path itself.
    const preflight = request.headers['access-control-request-method'] !== undefined;
    if (request.method === 'OPTIONS' && !preflight) return false;
    this.#allow(request, response, () => undefined);
    return response.writableEnded;
  }

  /**
   * Makes sure that a request which changes something with a cookie was sent by a page that may: a browser adds the
   * cookie whichever page it was.
   *
   * @throws {Refusal} 403 where it has no `Origin`, or that of another site
   */
  requireOwn(request: IncomingMessage): void {
    if (this.#isPageThatMay(request)) return;
    throw new Refusal(
      'forbidden',
      'With a session cookie, only a page of this site, or of one in CORS_ORIGINS, may change something: the Origin is ' +
        `${request.headers.origin === undefined ? 'missing' : 'another'}. Other programs send the token as Authorization: Bearer.`,
    );
  }

  /**
   * Refuses a request with a cookie that a browser says comes from another origin (Fetch Metadata), unless that may use
   * the session. A page of another host under the same domain has the cookie sent along (SameSite goes by the domain),
   * without an `Origin` where it asks for a picture or a script: it would make the person present, and use up streams.
   *
   * @throws {Refusal} 403; never where the browser does not say
   */
  refuseOtherPages(request: IncomingMessage): void {
    const site = request.headers['sec-fetch-site'];
    if (site === undefined || site === 'same-origin' || site === 'none' || this.#isPageThatMay(request))
      return;
    throw new Refusal(
      'forbidden',
      'A session cookie is for pages of this site, and of those in CORS_ORIGINS: Sec-Fetch-Site says that this request ' +
        'comes from another.',
    );
  }

  /** Whether a request was sent by a page of this site, or of one in `CORS_ORIGINS`, by its `Origin`. */
  #isPageThatMay({ headers: { origin, host } }: IncomingMessage): boolean {
    const { publicUrl, allowed } = this.#rules;
    if (origin === undefined) return false;
    if (allowed.includes(origin)) return true;
    return publicUrl === undefined ? isOriginOf(origin, host) : origin === publicUrl.origin;
  }

  #mayRead(origin: string): boolean {
    return this.#rules.open ? isLoopbackOrigin(origin) : this.#rules.allowed.includes(origin);
  }
}

/** Without a key, neither a page on another site, nor DNS rebinding, nor a tunnel gets in. */
function refuseForeign({ headers, method, url = '' }: IncomingMessage): void {
  // A target that names a host goes before the header (RFC 9112 §3.2.2).
  const [, named] = /^https?:\/\/([^/?#]*)/i.exec(url) ?? [];
  if ([headers.host, named].some((host) => host !== undefined && !isLoopback(host.replace(/:\d*$/, '')))) {
    throw new Refusal(
      'forbidden',
      `Without a key this service is for its own machine, and the Host is another; ${HINT}.`,
    );
  }
  const { origin } = headers;
  if (origin !== undefined && !isLoopbackOrigin(origin)) {
    throw new Refusal(
      'forbidden',
      `Without a key this service is for pages of its own machine, not of another site; ${HINT}.`,
    );
  }
  // A picture, a script or a frame of another site is fetched without an Origin; a link to the page is no harm, one to
  // a stream or a poll makes somebody present.
  const { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': destination } = headers;
  const isLink =
    mode === 'navigate' && destination === 'document' && method === 'GET' && !DATA.test(pathOf(url));
  if (origin === undefined && site === 'cross-site' && !isLink) {
    throw new Refusal(
      'forbidden',
      `Without a key this service is for pages of its own machine, not of another site; ${HINT}.`,
    );
  }
  const forwarding = Object.keys(headers).find((name) => FORWARDING.test(name));
  if (forwarding !== undefined) {
    throw new Refusal(
      'forbidden',
      `Without a key this service is for its own machine, and the header "${forwarding}" says that this request was passed on; ${HINT}.`,
    );
  }
}

function isLoopbackOrigin(origin: string): boolean {
  return URL.canParse(origin) && HTTP.test(new URL(origin).protocol) && isLoopback(new URL(origin).hostname);
}

/** Whether a page's origin has the host that it asks, whichever of http and https a proxy makes of it. */
function isOriginOf(origin: string, host = ''): boolean {
  if (!URL.canParse(origin)) return false;
  const { protocol, host: own } = new URL(origin);
  // An extension or an app has an origin of its own scheme, whatever stands behind that.
  if (!HTTP.test(protocol)) return false;
  // Compared without the port that goes without saying (RFC 6454 §4).
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === own;
}
