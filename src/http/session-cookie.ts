import type { IncomingMessage } from 'node:http';
import { serialize } from 'cookie';
import { isLoopback } from './origins.ts';

/** Where the service stands for its clients. */
export interface Place {
  /** `undefined` where only the request tells. */
  readonly publicUrl: URL | undefined;
  /** What stands before the paths of this service; empty, or `/…` without a slash at its end. */
  readonly basePath: string;
}

const NAME = 'tidings';

/** So many cookies of one name are looked at: each costs a check of its token. */
const MAX_SESSIONS = 4;

/**
 * The cookie whose value is a token: what a browser's EventSource carries.
 *
 * It is called `__Host-tidings` at the root of a host, and `__Secure-tidings` below a path: browsers take these over https
 * alone, the first of them only from this very host, so that no site under the same domain can put its own beside it
 * (RFC 6265bis §4.1.3). Over http on loopback it is `tidings`. Where one is due, no other is read.
 */
export class SessionCookie {
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  /** Returns the name that the cookie has for whoever sends a request. */
  name(request: IncomingMessage): string {
    if (!this.#isSecure(request)) return NAME;
    return this.#place.basePath === '' ? `__Host-${NAME}` : `__Secure-${NAME}`;
  }

  /**
   * Returns the different tokens that a request has as its session, 4 at most, those of the longest path first (RFC 6265
   * §5.4): there are several if one is left of an earlier base path, or another site of the domain has set one.
   */
  read(request: IncomingMessage): string[] {
    return [...new Set(valuesOf(this.name(request), request))].slice(0, MAX_SESSIONS);
  }

  /**
   * Returns the `Set-Cookie` headers that keep a token until a time, in place of every other session: those at the parent
   * paths, of an earlier base path, and those of the name that a session had over https before.
   */
  set(token: string, expires: Date, request: IncomingMessage): string[] {
    const name = this.name(request);
    const [own = '/', ...parents] = this.#paths();
    const secure = this.#isSecure(request);
    const cookie = (name: string, value: string, expires: Date, path: string): string =>
      // A token is made of characters that a cookie may have (RFC 7515 §3.1).
      serialize(name, value, { expires, httpOnly: true, sameSite: 'strict', secure, path, encode: String });
    const remove = (name: string, path: string): string => cookie(name, '', new Date(0), path);
    const hasOld = name !== NAME && valuesOf(NAME, request).length > 0;
    return [
      cookie(name, token, expires, own),
      ...parents.map((path) => remove(name, path)),
      ...(hasOld ? [own, ...parents].map((path) => remove(NAME, path)) : []),
    ];
  }

  /** Returns the `Set-Cookie` headers that remove the session, and all that `set` removes. */
  remove(request: IncomingMessage): string[] {
    return this.set('', new Date(0), request);
  }

  /** The path of the cookie, and its parents up to the root: `/a/b/`, `/a/`, `/`. */
  #paths(): string[] {
    const parts = this.#place.basePath.split('/');
    return parts.map((_, index) => `${parts.slice(0, parts.length - index).join('/')}/`);
  }

  /** Everywhere but on loopback, where a browser may have no https to send it over. */
  #isSecure({ headers: { host = '' } }: IncomingMessage): boolean {
    const { publicUrl } = this.#place;
    if (publicUrl?.protocol === 'https:') return true;
    return !isLoopback(publicUrl?.hostname ?? host.replace(/:\d*$/, ''));
  }
}

/** Returns the values that are not empty of the cookies of a name, in the order of the request. */
function valuesOf(name: string, { headers: { cookie = '' } }: IncomingMessage): string[] {
  const start = `${name}=`;
  return cookie
    .split(';')
    .map(withoutSpaces)
    .filter((pair) => pair.startsWith(start) && pair.length > start.length)
    .map((pair) => pair.slice(start.length));
}

/** Only spaces: a name that begins with another white space is another name, which any site may set. */
function withoutSpaces(pair: string): string {
  let start = 0;
  let end = pair.length;
  while (pair[start] === ' ') start++;
  while (end > start && pair[end - 1] === ' ') end--;
  return pair.slice(start, end);
}
