import { KEY } from '../../message-rules.ts';
import { badFields, type Refusal, REFUSAL_STATUS } from '../../errors.ts';
import type { MessageLog } from '../../log/message-log.ts';
import { identityOf } from '../authenticate.ts';
import { bodyOf, parseBody } from '../body.ts';
import type { Check, ErrorHandler, Handler, RoutedRequest } from '../handler.ts';
import type { PublishRate } from '../../publish/publish-rate.ts';
import { publishProblem } from '../problem.ts';
import { type Published, publishedJson, type Publisher } from '../../publish/publisher.ts';
import { NO_PARAMETERS } from '../parameters.ts';
import { Query } from '../query.ts';
import { MAX_BODY_BYTES } from '../read-body.ts';
import { sendJson } from '../send-json.ts';

/** Returns the check, before a body is read, that refuses a publish over its client's rate, and charges 1 for any other. */
export function limitRate(rate: PublishRate): Check {
  return (request) => rate.admit(identityOf(request));
}

/** Returns the check, before a body is read or parsed, that refuses a publish if too much waits for the log already. */
export function checkRoom(log: MessageLog): Check {
  return () => log.checkRoom();
}

/** Returns the check that takes the bytes of a body from its client's rate. Use it after `readBody`. */
export function takeBytes(rate: PublishRate): Check {
  return (request) => rate.takeBytes(identityOf(request), bodyOf(request).length);
}

/**
 * Returns the error handler that settles the rate of a refused publish: it takes the bytes of a body that was too
 * large, and gives back what `limitRate` took if the token ended while the body arrived. Use it after the second check
 * of the token.
 */
export function settleRefused(rate: PublishRate): ErrorHandler {
  return (error, request, _response, next) => {
    const { status } = error as { status?: unknown };
    if (status === REFUSAL_STATUS['too-large']) rate.takeBytes(identityOf(request), MAX_BODY_BYTES);
    // A request without an identity was refused before anything was taken for it.
    const { identity } = request;
    if (status === REFUSAL_STATUS.unauthenticated && identity !== undefined) rate.take(identity, -1);
    next(error);
  };
}

/** Adds to a temporary refusal of a publish whether anything may have been stored. It must be the last on the route. */
export const addMayBeStored: ErrorHandler = (error, _request, _response, next) => {
  next(publishProblem(error));
};

/**
 * Serves `POST /messages`: stores one message or a batch, and answers when it is on disk.
 *
 * Answers 201 with the stored message (a batch: an array, in order); 200 if nothing new was stored, since each was sent
 * before or a read marker does not move; 202 with `{"devices": n}` for an ephemeral one, or `{}` if the token may not
 * see the presence of its recipient. If anything is wrong or not allowed (403), nothing is stored. A 503 says whether
 * anything may have been stored.
 *
 * @param basePath the prefix of this service's paths, as clients see them, for `Location`
 */
export function publish(publisher: Publisher, basePath: string): Handler {
  return (request, response) => {
    new Query(request.url, NO_PARAMETERS).check();
    const body = withKey(parseBody(request), readHeaderKey(request));
    const publishing = publisher.publish(body, identityOf(request));
    // The body must not stay in memory while the publish waits: that may take long, and only the drafts are counted.
    request.body = undefined;
    return publishing.then((published) => {
      const isNewSingle = published.kind === 'single' && published.stored.isNew;
      sendJson(response, publishedJson(published), {
        status: statusOf(published),
        headers: isNewSingle ? { Location: `${basePath}/messages/${published.stored.message.id}` } : {},
      });
    });
  };
}

function statusOf(published: Published): number {
  switch (published.kind) {
    case 'single':
      return published.stored.isNew ? 201 : 200;
    case 'batch':
      return published.stored.some(({ isNew }) => isNew) ? 201 : 200;
    case 'ephemeral':
      return 202;
  }
}

/** Adds the key of the header to the body of a single message. @throws {Refusal} 400 if it does not belong there */
function withKey(body: unknown, key: string | undefined): unknown {
  if (key === undefined || typeof body !== 'object' || body === null) return body;
  if (Array.isArray(body)) {
    throw headerFault('is for a single message; in a batch, give each message its own idempotencyKey');
  }
  if (Object.hasOwn(body, 'idempotencyKey')) {
    throw headerFault('is given together with "idempotencyKey" in the body; give only one of them');
  }
  return { ...body, idempotencyKey: key };
}

/** Reads the key of the header. Its bytes are UTF-8, like those of a body, but Node decodes them as Latin-1. */
function readHeaderKey(request: RoutedRequest): string | undefined {
  const value = request.headers['idempotency-key'];
  if (typeof value !== 'string') return undefined;
  const key = Buffer.from(value, 'latin1').toString('utf8');
  const why = key.includes('\uFFFD') ? 'must be UTF-8' : KEY.fault(key);
  if (why !== undefined) throw headerFault(why);
  return key;
}

function headerFault(message: string): Refusal {
  return badFields([{ path: '/Idempotency-Key', message }]);
}
