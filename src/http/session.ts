import type { IncomingMessage } from 'node:http';
import { serialize } from 'cookie';
import type { Identity } from '../auth/identity.ts';
import { Refusal } from '../errors.ts';
import { type Authenticator, bearerOf, identityOf, SESSION_COOKIE, sessionsOf } from './authenticate.ts';
import type { Handler } from './handler.ts';
import { isLoopback, type Origins } from './origins.ts';
import { Query } from './query.ts';
import { sendJson } from './send-json.ts';

/** Browsers drop a cookie, in silence, whose name, value and attributes are over 4 KiB together (RFC 6265bis §5.6). */
const MAX_TOKEN_BYTES = 3900;

/**
 * The cookie outlives its token by a week: a stream that comes back with an old session is told so in band, and the page
 * renews it. Without a cookie it would get 401, at which EventSource gives up for good.
 */
const AFTERLIFE_MILLISECONDS = 7 * 86_400_000;

/** RFC 6265 §5.1.1 reads years of four digits. */
const LAST_YEAR = Date.UTC(9999, 0);

/** Where the service stands for its clients. */
export interface Place {
  /** `undefined` where only the request tells. */
  readonly publicUrl: URL | undefined;
  /** What stands before the paths of this service; empty, or `/…` without a slash at its end. */
  readonly basePath: string;
}

/**
 * `GET /session`: who one is. Answers `{"sub", "expiresAt"}`; both are null in open mode, where nobody says.
 *
 * For a page: the cookie of its session is out of its sight.
 */
export const session: Handler = (request, response) => {
  new Query(request.url, []).check();
  sendJson(response, JSON.stringify(toWire(identityOf(request))));
};

/**
 * `PUT /session` with a bearer token: keeps the token in the session cookie. Answers `{"sub", "expiresAt"}`.
 */
export function openSession(authenticator: Authenticator, place: Place): Handler {
  return (request, response) => {
    new Query(request.url, []).check();
    if (authenticator.open) throw noSessions();
    const token = bearerOf(request);
    const identity = identityOf(request);
    if (token === undefined) {
      throw new Refusal('unauthenticated', 'PUT /session needs the new token as Authorization: Bearer.', {
        headers: { 'WWW-Authenticate': 'Bearer realm="tidings"' },
      });
    }
    if (token.length > MAX_TOKEN_BYTES) {
      throw new Refusal(
        'malformed',
        `The token has ${token.length} bytes; a browser keeps a cookie of up to ${MAX_TOKEN_BYTES}. Grant prefixes in ` +
          'place of long lists.',
      );
    }
    const until = Math.min((identity.expiresAt ?? 0) + AFTERLIFE_MILLISECONDS, LAST_YEAR);
    const cookie = sessionCookie(token, new Date(until), request, place);
    sendJson(response, JSON.stringify(toWire(identity)), { headers: { 'Set-Cookie': cookie } });
  };
}

/** `DELETE /session`: takes the session cookie away. Answers 204, also where there is none. */
export function endSession(authenticator: Authenticator, origins: Origins, place: Place): Handler {
  return (request, response) => {
    new Query(request.url, []).check();
    if (authenticator.open) throw noSessions();
    if (sessionsOf(request).length > 0) origins.requireOwn(request);
    response.writeHead(204, { 'Set-Cookie': sessionCookie('', new Date(0), request, place) }).end();
  };
}

/** `Secure` unless on loopback, where a browser may have no https to send it over. */
function sessionCookie(
  token: string,
  expires: Date,
  request: IncomingMessage,
  { publicUrl, basePath }: Place,
): string {
  const host = publicUrl?.hostname ?? (request.headers.host ?? '').replace(/:\d*$/, '');
  return serialize(SESSION_COOKIE, token, {
    expires,
    httpOnly: true,
    sameSite: 'strict',
    secure: !isLoopback(host),
    path: `${basePath}/`,
    // A token is made of characters that a cookie may have (RFC 7515 §3.1).
    encode: String,
  });
}

function toWire({ client, expiresAt }: Identity): { sub: string | null; expiresAt: string | null } {
  return {
    sub: client ?? null,
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
  };
}

function noSessions(): Refusal {
  return new Refusal(
    'not-found',
    'There are no sessions here: no key is configured, so everybody may do everything.',
  );
}
