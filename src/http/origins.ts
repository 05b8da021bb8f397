import type { IncomingMessage, ServerResponse } from 'node:http';
import cors from 'cors';
import { Refusal } from '../errors.ts';
import { DATA_HEADERS } from './data-headers.ts';
import { pathOf } from './query.ts';

/** The rules for pages that use the service from a browser, and for requests in open mode. */
export interface OriginRules {
  /** No key is configured: everybody may do everything, so only requests from this machine are allowed. */
  readonly open: boolean;
  /** Origins of other sites whose pages may use the service with their users' sessions. */
  readonly allowed: readonly string[];
  /** The URL at which clients reach the service; if `undefined`, the request's `Host` counts. */
  readonly publicUrl: URL | undefined;
}

/** Headers that a proxy or a tunnel adds: a request with one of them was not made on this machine. */
const FORWARDING =
  /^(forwarded|via|cdn-loop|cf-ray|cf-connecting-ip(v6)?|x-forwarded(-.*)?|x-original-(host|forwarded-.*)|x-real-ip|((x|true|fly|fastly|x-cluster)-)?client-ip)$/;

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i;

const HTTP = /^https?:$/;

/** Paths of data: no page has a reason to link to them. */
const DATA = /^\/(stream|ws|messages|conversations|presence|session|metrics|push-key|push-subscriptions)\b/;

/** Returns whether a host, without its port, is a loopback name or address. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** The rules about where requests come from: `Host`, `Origin`, forwarding headers (CORS: WHATWG Fetch §3.2). */
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
   * Admits a request, and sets the headers with which an allowed page may read the answer.
   *
   * @returns whether it is answered already: a preflight of an allowed page
   * @throws {Refusal} 403 in open mode, if it does not come from this machine
   */
  admit(request: IncomingMessage, response: ServerResponse): boolean {
    if (this.#rules.open) refuseForeign(request);
    const { origin } = request.headers;
    if (origin === undefined || !this.#mayRead(origin)) return false;
    // Only a preflight names the method that will follow; any other OPTIONS asks about the path itself.
    const preflight = request.headers['access-control-request-method'] !== undefined;
    if (request.method === 'OPTIONS' && !preflight) return false;
    if (preflight) response.setHeaders(new Map(Object.entries(DATA_HEADERS)));
    this.#allow(request, response, () => undefined);
    return response.writableEnded;
  }

  /**
   * Checks that an allowed page sent a request that changes something with a session cookie: browsers add the cookie to
   * the requests of every page.
   *
   * @throws {Refusal} 403 if it has no `Origin`, or that of another site
   */
  requireAllowedPage(request: IncomingMessage): void {
    if (this.#isAllowedPage(request)) return;
    throw new Refusal(
      'forbidden',
      'With a session cookie, only pages of this site and of the sites in CORS_ORIGINS may change something, but the Origin is ' +
        `${request.headers.origin === undefined ? 'missing' : 'of another site'}. Other programs send the token as Authorization: Bearer.`,
    );
  }

  /**
   * Refuses a request with a session cookie if the browser says that a page of another origin sent it (Fetch Metadata),
   * unless that page is allowed. Otherwise, a page of another host under the same domain could make the person present
   * and use up streams: browsers send the cookie (SameSite goes by the domain), and no `Origin` for a picture or a
   * script.
   *
   * @throws {Refusal} 403; never if the browser does not name the site
   */
  refuseOtherPages(request: IncomingMessage): void {
    const site = request.headers['sec-fetch-site'];
    if (site === undefined || site === 'same-origin' || site === 'none' || this.#isAllowedPage(request))
      return;
    throw new Refusal(
      'forbidden',
      'Only pages of this site and of the sites in CORS_ORIGINS may use a session cookie, but Sec-Fetch-Site says that this ' +
        'request comes from another site.',
    );
  }

  /** Returns whether a page of this site, or of one in `CORS_ORIGINS`, sent a request, by its `Origin`. */
  #isAllowedPage({ headers: { origin, host } }: IncomingMessage): boolean {
    const { publicUrl, allowed } = this.#rules;
    if (origin === undefined) return false;
    if (allowed.includes(origin)) return true;
    return publicUrl === undefined ? isOriginOf(origin, host) : origin === publicUrl.origin;
  }

  #mayRead(origin: string): boolean {
    return this.#rules.open ? isLoopbackOrigin(origin) : this.#rules.allowed.includes(origin);
  }
}

/** Refuses pages of other sites, DNS rebinding and tunnels, if no key is configured. */
function refuseForeign({ headers, method, url = '' }: IncomingMessage): void {
  // A host in the target overrides the header (RFC 9112 §3.2.2).
  const [, named] = /^https?:\/\/([^/?#]*)/i.exec(url) ?? [];
  if ([headers.host, named].some((host) => host !== undefined && !isLoopback(host.replace(/:\d*$/, '')))) {
    throw foreign('the Host names another machine');
  }
  // Other sites fetch pictures, scripts and frames without an Origin. A link to the page does no harm, one to a stream
  // or a poll makes somebody present.
  const { origin, 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': destination } = headers;
  const isLink =
    mode === 'navigate' && destination === 'document' && method === 'GET' && !DATA.test(pathOf(url));
  if (origin === undefined ? site === 'cross-site' && !isLink : !isLoopbackOrigin(origin)) {
    throw foreign('this request comes from a page of another site');
  }
  const forwarding = Object.keys(headers).find((name) => FORWARDING.test(name));
  if (forwarding !== undefined) {
    throw foreign(`the header "${forwarding}" says that this request was forwarded`);
  }
}

/** Returns the refusal (403) of a request in open mode. @param why the sign that it comes from elsewhere */
function foreign(why: string): Refusal {
  return new Refusal(
    'forbidden',
    `Without a key, this service accepts only requests from its own machine, but ${why}. Set AUTH_SECRET to let others in with tokens.`,
  );
}

function isLoopbackOrigin(origin: string): boolean {
  return URL.canParse(origin) && HTTP.test(new URL(origin).protocol) && isLoopback(new URL(origin).hostname);
}

/** Returns whether a page's origin has the requested host, by http or by https, since a proxy may change the scheme. */
function isOriginOf(origin: string, host = ''): boolean {
  if (!URL.canParse(origin)) return false;
  const { protocol, host: own } = new URL(origin);
  // The origin of an extension or an app has another scheme, and its host means something else.
  if (!HTTP.test(protocol)) return false;
  // Compared without a default port (RFC 6454 §4).
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === own;
}
