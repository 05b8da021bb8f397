import { keyFault } from '../draft.ts';
import { badFields, type Refusal, REFUSAL_STATUS } from '../errors.ts';
import type { MessageLog } from '../log/message-log.ts';
import { identityOf } from './authenticate.ts';
import { bodyOf, parseBody } from './body.ts';
import type { Check, ErrorHandler, Handler, RoutedRequest } from './handler.ts';
import type { PublishRate } from './publish-rate.ts';
import { publishProblem } from './problem.ts';
import { type Published, publishedJson, type Publisher } from './publisher.ts';
import { Query } from './query.ts';
import { MAX_BODY_BYTES } from './read-body.ts';
import { sendJson } from './send-json.ts';

/** Refuses a publish of a client over its rate before its body is read, and takes 1 from the rate for any other. */
export function limitRate(rate: PublishRate): Check {
  return (request) => rate.admit(identityOf(request));
}

/** Refuses a publish before its body is read, or before it is parsed, if so much waits that nothing more is taken. */
export function checkRoom(log: MessageLog): Check {
  return () => log.checkRoom();
}

/** Takes the bytes of a body from the rate of its client. It stands behind `readBody`. */
export function takeBytes(rate: PublishRate): Check {
  return (request) => rate.takeBytes(identityOf(request), bodyOf(request).length);
}

/**
 * Takes the bytes of a body that was refused because there are too many of them, and gives back what `limitRate` took if
 * the token has ended as the body arrived. It stands behind the second look at the token.
 */
export function settleRefused(rate: PublishRate): ErrorHandler {
  return (error, request, _response, next) => {
    const { status } = error as { status?: unknown };
    if (status === REFUSAL_STATUS['too-large']) rate.takeBytes(identityOf(request), MAX_BODY_BYTES);
    // One that was refused at the first look has no identity, and nothing was taken for it.
    const { identity } = request;
    if (status === REFUSAL_STATUS.unauthenticated && identity !== undefined) rate.take(identity, -1);
    next(error);
  };
}

/** Says of a publish that is refused for now whether anything may have been stored. It stands last on the route. */
export const sayWhetherStored: ErrorHandler = (error, _request, _response, next) => {
  next(publishProblem(error));
};

/**
 * `POST /messages`: takes one message or a batch, and answers when it is on disk.
 *
 * 201 with the stored message (a batch: an array, in order); 200 if nothing new was stored, since each was sent before
 * or a read marker does not move; 202 with `{"devices": n}` for an ephemeral one, or `{}` if the token may not see the
 * presence of its recipient. If anything is wrong, or not allowed (403), nothing is stored; a 503 says whether.
 *
 * @param basePath what stands before the paths of this service where clients reach it, for `Location`
 */
export function publish(publisher: Publisher, basePath: string): Handler {
  return (request, response) => {
    new Query(request.url, []).check();
    const body = withKey(parseBody(request), readHeaderKey(request));
    const publishing = publisher.publish(body, identityOf(request));
    // Nothing of the body waits with the publish: that may take long, and what waits is counted without it.
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

/** A body with the key that the header gives: that is for a single message. */
function withKey(body: unknown, key: string | undefined): unknown {
  if (key === undefined || typeof body !== 'object' || body === null) return body;
  if (Array.isArray(body)) {
    throw headerFault('is for a single message; in a batch give each its idempotencyKey');
  }
  if (Object.hasOwn(body, 'idempotencyKey')) {
    throw headerFault('is given, and "idempotencyKey" in the body as well; give one');
  }
  return { ...body, idempotencyKey: key };
}

/** The header's bytes are UTF-8, as a body's are; Node gives them as Latin-1. */
function readHeaderKey(request: RoutedRequest): string | undefined {
  const value = request.headers['idempotency-key'];
  if (typeof value !== 'string') return undefined;
  const key = Buffer.from(value, 'latin1').toString('utf8');
  const why = key.includes('\uFFFD') ? 'must be UTF-8' : keyFault(key);
  if (why !== undefined) throw headerFault(why);
  return key;
}

function headerFault(message: string): Refusal {
  return badFields([{ path: '/Idempotency-Key', message }]);
}
