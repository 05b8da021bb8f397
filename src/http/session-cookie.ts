import type { IncomingMessage } from 'node:http';
import { serialize } from 'cookie';
import { isLoopback } from './origins.ts';

/** The address at which clients reach the service. */
export interface CookieScope {
  /** If it is not configured (`undefined`), the request's `Host` counts. */
  readonly publicUrl: URL | undefined;
  /** The prefix of this service's paths: empty, or `/…` without a slash at its end. */
  readonly basePath: string;
}

const NAME = 'tidings';

/** How many cookies of one name are checked: each costs the verification of a token. */
const MAX_SESSIONS = 4;

/**
 * The cookie whose value is a token, which a browser's EventSource sends.
 *
 * It is called `__Host-tidings` at the root of a host, and `__Secure-tidings` below a path: browsers accept these only
 * over https, and the first only from this very host, so that no site under the same domain can set one of its own
 * beside it (RFC 6265bis §4.1.3). Over http on loopback it is `tidings`. Only the cookie with the right name is read.
 */
export class SessionCookie {
  readonly #scope: CookieScope;

  constructor(scope: CookieScope) {
    this.#scope = scope;
  }

  /** Returns the name of the cookie for the sender of a request. */
  name(request: IncomingMessage): string {
    if (!this.#isSecure(request)) return NAME;
    return this.#scope.basePath === '' ? `__Host-${NAME}` : `__Secure-${NAME}`;
  }

  /**
   * Returns the different tokens that a request has as its session, at most 4, ordered from the longest path (RFC 6265
   * §5.4). There are several if one is left from an earlier base path, or if another site of the domain has set one.
   */
  read(request: IncomingMessage): string[] {
    return [...new Set(valuesOf(this.name(request), request))].slice(0, MAX_SESSIONS);
  }

  /**
   * Returns the `Set-Cookie` headers that store a token until a time, and remove every other session: at the parent paths,
   * from an earlier base path, and under the name that a session over https had before.
   */
  set(token: string, expires: Date, request: IncomingMessage): string[] {
    const name = this.name(request);
    const [own = '/', ...parents] = this.#paths();
    const secure = this.#isSecure(request);
    const cookie = (name: string, value: string, expires: Date, path: string): string =>
      // A token has only characters that a cookie may have (RFC 7515 §3.1).
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

  /** Returns the path of the cookie, and its parents up to the root: `/a/b/`, `/a/`, `/`. */
  #paths(): string[] {
    const parts = this.#scope.basePath.split('/');
    return parts.map((_, index) => `${parts.slice(0, parts.length - index).join('/')}/`);
  }

  /** Returns whether the cookie is sent over https only: always, except on loopback, which may have no https. */
  #isSecure({ headers: { host = '' } }: IncomingMessage): boolean {
    const { publicUrl } = this.#scope;
    if (publicUrl?.protocol === 'https:') return true;
    return !isLoopback(publicUrl?.hostname ?? host.replace(/:\d*$/, ''));
  }
}

/** Returns the nonempty values of the cookies with a name, in the order of the request. */
function valuesOf(name: string, { headers: { cookie = '' } }: IncomingMessage): string[] {
  const start = `${name}=`;
  return cookie
    .split(';')
    .map(withoutSpaces)
    .filter((pair) => pair.startsWith(start) && pair.length > start.length)
    .map((pair) => pair.slice(start.length));
}

/** Removes spaces only: a name that begins with other white space is another name, which any site may set. */
function withoutSpaces(pair: string): string {
  let start = 0;
  let end = pair.length;
  while (pair[start] === ' ') start++;
  while (end > start && pair[end - 1] === ' ') end--;
  return pair.slice(start, end);
}
