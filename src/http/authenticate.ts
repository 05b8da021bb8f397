import type { IncomingMessage } from 'node:http';
import { EVERYBODY, type Identity } from '../auth/identity.ts';
import { TokenRefused, type Tokens } from '../auth/tokens.ts';
import { Refusal } from '../errors.ts';
import type { Handler, RoutedRequest } from './handler.ts';
import type { Origins } from './origins.ts';
import { parsePairs } from './query.ts';
import type { SessionCookie } from './session-cookie.ts';
import { hasToken } from './signed-token.ts';

/** What other services call a token in a query (RFC 6750 §2.3 has the first). */
const TOKEN_PARAMETERS = ['access_token', 'token', 'authorization', 'auth', 'jwt', 'bearer'];

/**
 * The scheme, one or more spaces (no tab), and a token (RFC 9110 §11.6.2, RFC 6750 §2.1). White space around a field's
 * value is no part of it (RFC 9110 §5.5): node:http has taken it away.
 */
const BEARER = /^Bearer +([\w.~+/-]+=*)$/i;

/** A session, a token in a cookie, that was good and is over: the page can renew it. */
export class SessionExpired extends Refusal {
  constructor() {
    super('unauthenticated', 'The session is over; renew it with PUT /session.', {
      headers: { 'WWW-Authenticate': challenge('invalid_token') },
    });
    this.name = 'SessionExpired';
  }
}

/** Says who makes a request. */
export class Authenticator {
  readonly #tokens: Tokens | undefined;
  readonly #origins: Origins;
  readonly #cookie: SessionCookie;

  /** @param tokens `undefined` in open mode, where everybody may do everything */
  constructor(tokens: Tokens | undefined, origins: Origins, cookie: SessionCookie) {
    this.#tokens = tokens;
    this.#origins = origins;
    this.#cookie = cookie;
  }

  /** Whether no key is configured. */
  get open(): boolean {
    return this.#tokens === undefined;
  }

  /**
   * Reads `Authorization: Bearer`, else the session cookie.
   *
   * @param changes whether the request may change something
   * @throws {Refusal} 400 where a token stands in the URL, 401 without a good token, 403 if a page that may not uses
   *   the cookie
   * @throws {KeysUnavailable} where the token cannot be checked now
   */
  async identify(
    request: IncomingMessage,
    changes = request.method !== 'GET' && request.method !== 'HEAD',
  ): Promise<Identity> {
    if (this.#tokens === undefined) return EVERYBODY;
    refuseTokenInUrl(request, this.#cookie);
    const bearer = bearerOf(request);
    if (bearer !== undefined) return this.#check(this.#tokens, bearer);
    const session = this.#sessionOf(request);
    if (session === undefined) {
      throw new Refusal(
        'unauthenticated',
        `A token is required: as Authorization: Bearer, or in the cookie "${this.#cookie.name(request)}".`,
        { headers: { 'WWW-Authenticate': challenge() } },
      );
    }
    this.#origins.refuseOtherPages(request);
    if (changes) this.#origins.requireOwn(request);
    return this.#check(this.#tokens, session, () => new SessionExpired());
  }

  /** As `identify`, for a route: `identityOf` has the result. */
  get middleware(): Handler {
    return async (request, _response, next) => {
      request.identity = await this.identify(request);
      // Nobody is left to be answered, and the log may be closed, if the client went while its token was checked.
      if (!request.socket.destroyed) next();
    };
  }

  /**
   * Refuses a token that has expired since it was checked, as a slow body arrived: for a route, behind `readBody`.
   */
  get recheck(): Handler {
    return (request, _response, next) => {
      if (this.#tokens?.isExpired(identityOf(request)) === true) {
        throw bearerOf(request) === undefined ? new SessionExpired() : refusedToken('The token has expired');
      }
      next();
    };
  }

  /**
   * The token of the session cookie.
   *
   * @returns `undefined` if there is none, or an empty one
   * @throws {Refusal} 401 if there are several: another site under the same domain may have set one of them
   */
  #sessionOf(request: IncomingMessage): string | undefined {
    const sessions = this.#cookie.read(request);
    if (sessions.length > 1) {
      const name = this.#cookie.name(request);
      throw new Refusal('unauthenticated', `The cookie "${name}" is given more than once.`, {
        headers: { 'WWW-Authenticate': challenge('invalid_request') },
      });
    }
    return sessions[0];
  }

  async #check(tokens: Tokens, token: string, onExpired?: () => Refusal): Promise<Identity> {
    try {
      return await tokens.identify(token);
    } catch (error) {
      if (!(error instanceof TokenRefused)) throw error;
      if (error.expired && onExpired !== undefined) throw onExpired();
      throw refusedToken(error.message);
    }
  }
}

function refusedToken(why: string): Refusal {
  return new Refusal('unauthenticated', `${why}.`, {
    headers: { 'WWW-Authenticate': challenge('invalid_token') },
  });
}

/** Who makes a request, on a route behind the middleware. */
export function identityOf({ identity }: RoutedRequest): Identity {
  if (identity === undefined) throw new Error('the route does not stand behind the authenticator');
  return identity;
}

/**
 * The token of the `Authorization` header.
 *
 * @returns `undefined` where there is none
 * @throws {Refusal} 401 where it has another scheme
 */
export function bearerOf({ headers: { authorization } }: IncomingMessage): string | undefined {
  if (authorization === undefined || authorization === '') return undefined;
  const [, token] = BEARER.exec(authorization) ?? [];
  if (token !== undefined) return token;
  throw new Refusal(
    'unauthenticated',
    'Authorization must be "Bearer", one or more spaces (no tab), and a token.',
    {
      headers: { 'WWW-Authenticate': challenge('invalid_request') },
    },
  );
}

/** URLs end up in logs, histories and Referer headers. */
function refuseTokenInUrl(request: IncomingMessage, cookie: SessionCookie): void {
  const { url = '' } = request;
  const mark = url.indexOf('?');
  if (mark === -1) return;
  const name = parsePairs(url.slice(mark + 1)).find(
    ([one, value]) => TOKEN_PARAMETERS.includes(one.toLowerCase()) || hasToken(value),
  )?.[0];
  if (name === undefined) return;
  throw new Refusal(
    'malformed',
    `A token does not belong in a URL ("${name}"), which ends up in logs: send it as Authorization: Bearer, or in the ` +
      `cookie "${cookie.name(request)}".`,
  );
}

/** RFC 6750 §3. */
function challenge(error?: string): string {
  return error === undefined ? 'Bearer realm="tidings"' : `Bearer realm="tidings", error="${error}"`;
}
