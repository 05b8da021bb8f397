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

/** Names that other services give to a token in a query (RFC 6750 §2.3 has the first). */
const TOKEN_PARAMETERS = ['access_token', 'token', 'authorization', 'auth', 'jwt', 'bearer'];

/**
 * The scheme, one or more spaces (no tab), and a token (RFC 9110 §11.6.2, RFC 6750 §2.1). White space around a field's
 * value is not part of it (RFC 9110 §5.5): node:http has removed it.
 */
const BEARER = /^Bearer +([\w.~+/-]+=*)$/i;

/**
 * The refusal of a session cookie whose token has expired or cannot be verified, for example after a change of keys. The
 * page can renew it. A cookie without any token gets an ordinary 401.
 */
export class SessionRefused extends Refusal {
  constructor(why: string) {
    super('unauthenticated', `${why}. Renew the session with PUT /session.`, {
      headers: { 'WWW-Authenticate': challenge('invalid_token') },
    });
    this.name = 'SessionRefused';
  }
}

/** The check of the client that makes a request. */
export class Authenticator {
  readonly #tokens: Tokens | undefined;
  readonly #origins: Origins;
  readonly #cookie: SessionCookie;

  /** @param tokens `undefined` in open mode, in which everybody may do everything */
  constructor(tokens: Tokens | undefined, origins: Origins, cookie: SessionCookie) {
    this.#tokens = tokens;
    this.#origins = origins;
    this.#cookie = cookie;
  }

  /** Whether everybody may do everything because no key is configured. */
  get open(): boolean {
    return this.#tokens === undefined;
  }

  /**
   * Identifies the client that makes a request: by `Authorization: Bearer`, else by the session cookie.
   *
   * @param changes whether the request may change something
   * @throws {Refusal} 400 if the URL has a token, 401 without a valid token, 403 if the cookie was sent by a page that
   *   may not use it
   * @throws {KeysUnavailable} if the token cannot be checked now
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
    if (changes) this.#origins.requireAllowedPage(request);
    return this.#ownerOf(this.#tokens, sessions);
  }

  /** The handler that identifies a route's clients: `identityOf` returns the result. */
  get middleware(): Handler {
    return async (request, _response, next) => {
      request.identity = await this.identify(request);
      // If the client left while its token was checked, nobody waits for the answer, and the log may be closed.
      if (!request.socket.destroyed) next();
    };
  }

  /** The check, after `readBody`, that refuses a token that ended while a slow body arrived. */
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
   * Finds the owner of a request's session. If several cookies have the name, the one with a valid token counts: the
   * others may be left from an earlier base path, or set by another site of the domain.
   *
   * @param sessions the values of the cookies, at least one
   * @throws {SessionRefused} if one is a token but none is valid, or if valid ones are of two clients
   * @throws {Refusal} 401 if none is a token
   * @throws {KeysUnavailable} if none is valid, and one cannot be checked now
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
      throw new SessionRefused('The request has the sessions of two clients');
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

/** Returns the client that makes a request. @throws {Error} if the middleware does not run before the route */
export function identityOf({ identity }: RoutedRequest): Identity {
  if (identity === undefined) throw new Error('the route runs without the authenticator');
  return identity;
}

/**
 * Reads the token of the `Authorization` header.
 *
 * @returns `undefined` if there is none
 * @throws {Refusal} 401 if it has another scheme
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

/** Refuses a token in the URL: URLs end up in logs, histories and Referer headers. */
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
    `A token must not be in a URL ("${name}"), because URLs end up in logs. Send it as Authorization: Bearer, or in the ` +
      `cookie "${cookie.name(request)}".`,
  );
}

/** Returns the value of `WWW-Authenticate` (RFC 6750 §3). */
function challenge(error?: string): string {
  return error === undefined ? 'Bearer realm="tidings"' : `Bearer realm="tidings", error="${error}"`;
}
