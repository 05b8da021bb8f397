import type { Identity } from '../../auth/identity.ts';
import { Refusal } from '../../errors.ts';
import { type Authenticator, bearerOf, identityOf } from '../authenticate.ts';
import { DATA_HEADERS } from '../data-headers.ts';
import type { Handler } from '../handler.ts';
import type { Origins } from '../origins.ts';
import type { PublishRate } from '../../publish/publish-rate.ts';
import { NO_PARAMETERS } from '../parameters.ts';
import { Query } from '../query.ts';
import { sendJson } from '../send-json.ts';
import type { SessionCookie } from '../session-cookie.ts';

/** Browsers silently drop a cookie whose name, value and attributes are over 4 KiB together (RFC 6265bis §5.6). */
export const MAX_TOKEN_BYTES = 3900;

/**
 * The cookie outlives its token by a week: a stream that reconnects with an old session is told so in band, and the page
 * renews it. Without a cookie it would get 401, and EventSource would give up for good.
 */
const AFTERLIFE_MILLISECONDS = 7 * 86_400_000;

/** RFC 6265 §5.1.1 reads years of four digits. */
const LAST_YEAR = Date.UTC(9999, 0);

/** The parts that the routes use. */
export interface SessionParts {
  readonly authenticator: Authenticator;
  readonly cookie: SessionCookie;
  readonly origins: Origins;
  readonly rate: PublishRate;
}

/**
 * Serves `GET /session`: tells a client who it is, and what it may do. Answers `{"sub", "expiresAt", "grants"}`; the
 * first two are null in open mode, in which clients have no names.
 *
 * A page needs it because it cannot see the cookie of its session.
 */
export function session({ rate }: SessionParts): Handler {
  return (request, response) => {
    new Query(request.url, NO_PARAMETERS).check();
    sendJson(response, toJson(identityOf(request), rate));
  };
}

/** Serves `PUT /session` with a bearer token: stores the token in the session cookie. Answers like `GET`. */
export function openSession({ authenticator, cookie, rate }: SessionParts): Handler {
  return (request, response) => {
    new Query(request.url, NO_PARAMETERS).check();
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
        `The token has ${token.length} bytes; a browser stores at most ${MAX_TOKEN_BYTES} in a cookie. Grant ` +
          'prefixes instead of long lists.',
      );
    }
    const until = Math.min((identity.expiresAt ?? 0) + AFTERLIFE_MILLISECONDS, LAST_YEAR);
    response.setHeader('Set-Cookie', cookie.set(token, new Date(until), request));
    sendJson(response, toJson(identity, rate));
  };
}

/** Serves `DELETE /session`: removes the session cookie. Answers 204, even if there is none. */
export function endSession({ authenticator, origins, cookie }: SessionParts): Handler {
  return (request, response) => {
    new Query(request.url, NO_PARAMETERS).check();
    if (authenticator.open) throw noSessions();
    if (cookie.read(request).length > 0) origins.requireAllowedPage(request);
    response.writeHead(204, { ...DATA_HEADERS, 'Set-Cookie': cookie.remove(request) }).end();
  };
}

/** Returns the identity as JSON. Its grants have the names of a token's, with defaults for those that the token lacks. */
function toJson(identity: Identity, rate: PublishRate): string {
  const { client, expiresAt, sendAs, sendTo, read, presence, metrics } = identity;
  const perSecond = rate.rateOf(identity);
  return JSON.stringify({
    sub: client ?? null,
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt),
    grants: { sendAs, sendTo, read, presence, rate: perSecond === 0 ? null : perSecond, metrics },
  });
}

function noSessions(): Refusal {
  return new Refusal(
    'not-found',
    'There are no sessions here: no key is configured, so everybody may do everything.',
  );
}
