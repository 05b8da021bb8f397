import type { IncomingMessage } from 'node:http';
import { EVERYBODY, type Identity } from '../auth/identity.ts';
import { KeysUnavailable } from '../auth/key-set.ts';
import { TokenRefused, type Tokens } from '../auth/tokens.ts';
import { Refusal } from '../errors.ts';
import type { Check, Handler, RoutedRequest } from './handler.ts';
import type { Origins } from './origins.ts';
import { parsePairs } from './query.ts';
import type { SessionCookie } from './session-cookie.ts';
import { hasToken, isToken } from './signed-token.ts';

/** What other services call a token in a query (RFC 6750 §2.3 has the first). */
const TOKEN_PARAMETERS = ['access_token', 'token', 'authorization', 'auth', 'jwt', 'bearer'];

/**
 * The scheme, one or more spaces (no tab), and a token (RFC 9110 §11.6.2, RFC 6750 §2.1). White space around a field's
 * value is no part of it (RFC 9110 §5.5): node:http has taken it away.
 */
const BEARER = /^Bearer +([\w.~+/-]+=*)$/i;

/**
 * A session cookie has a token that does not count: it has expired, or cannot be verified, as after a change of keys. The
 * page can renew it. What is no token at all is an ordinary 401.
 */
export class SessionRefused extends Refusal {
  constructor(why: string) {
    super('unauthenticated', `${why}. Renew the session with PUT /session.`, {
      headers: { 'WWW-Authenticate': challenge('invalid_token') },
    });
    this.name = 'SessionRefused';
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
    const sessions = this.#cookie.read(request);
    if (sessions.length === 0) {
      throw new Refusal(
        'unauthenticated',
        `A token is required: as Authorization: Bearer, or in the cookie "${this.#cookie.name(request)}".`,
        { headers: { 'WWW-Authenticate': challenge() } },
      );
    }
    this.#origins.refuseOtherPages(request);
    if (changes) this.#origins.requireOwn(request);
    return this.#ownerOf(this.#tokens, sessions);
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
   * Refuses a token that has ended since it was checked, as a slow body arrived: for a route, behind `readBody`.
   */
  get recheck(): Check {
    return (request) => {
      try {
        this.#tokens?.recheck(identityOf(request));
      } catch (error) {
        if (!(error instanceof TokenRefused)) throw error;
        throw bearerOf(request) === undefined
          ? new SessionRefused(error.message)
          : refusedToken(error.message);
      }
    };
  }

  /**
   * Finds whose session a request has. Of several cookies of one name the one with a good token counts: the others may be
   * left of an earlier base path, or set by another site of the domain.
   *
   * @param sessions the values of the cookies, at least one
   * @throws {SessionRefused} if none is good and one is a token, or two clients have a good one each
   * @throws {Refusal} 401 if none is a token
   * @throws {KeysUnavailable} if none is good, and one cannot be checked now
   */
  async #ownerOf(tokens: Tokens, sessions: readonly string[]): Promise<Identity> {
    const identities: Identity[] = [];
    let refusal = refusedToken('The session cookie has no signed JSON Web Token');
    let unavailable: Error | undefined;
    for (const session of sessions) {
      try {
        identities.push(await tokens.identify(session));
      } catch (error) {
        if (error instanceof KeysUnavailable) unavailable = error;
        else if (!(error instanceof TokenRefused)) throw error;
        else if (isToken(session)) refusal = new SessionRefused(error.message);
      }
    }
    const [owner] = identities;
    if (owner === undefined) throw unavailable ?? refusal;
    if (identities.some(({ client }) => client !== owner.client)) {
      throw new SessionRefused('The request has sessions of two clients');
    }
    return owner;
  }

  async #check(tokens: Tokens, token: string): Promise<Identity> {
    try {
      return await tokens.identify(token);
    } catch (error) {
      throw error instanceof TokenRefused ? refusedToken(error.message) : error;
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
