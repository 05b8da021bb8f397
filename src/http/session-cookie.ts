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

  /** Returns the tokens that a request has as its session; more than one if sites of the same domain have set one each. */
  read(request: IncomingMessage): string[] {
    const { cookie = '' } = request.headers;
    const start = `${this.name(request)}=`;
    return cookie
      .split(';')
      .map(withoutSpaces)
      .filter((pair) => pair.startsWith(start) && pair.length > start.length)
      .map((pair) => pair.slice(start.length));
  }

  /** Returns the `Set-Cookie` that keeps a token until a time. */
  set(token: string, expires: Date, request: IncomingMessage): string {
    return serialize(this.name(request), token, {
      expires,
      httpOnly: true,
      sameSite: 'strict',
      secure: this.#isSecure(request),
      path: `${this.#place.basePath}/`,
      // A token is made of characters that a cookie may have (RFC 7515 §3.1).
      encode: String,
    });
  }

  /** Everywhere but on loopback, where a browser may have no https to send it over. */
  #isSecure({ headers: { host = '' } }: IncomingMessage): boolean {
    const { publicUrl } = this.#place;
    if (publicUrl?.protocol === 'https:') return true;
    return !isLoopback(publicUrl?.hostname ?? host.replace(/:\d*$/, ''));
  }
}

/** Only spaces: a name that begins with another white space is another name, which any site may set. */
function withoutSpaces(pair: string): string {
  let start = 0;
  let end = pair.length;
  while (pair[start] === ' ') start++;
  while (end > start && pair[end - 1] === ' ') end--;
  return pair.slice(start, end);
}
