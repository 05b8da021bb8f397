import type { ServerResponse } from 'node:http';
import {
  ContentTooLarge,
  keyFault,
  type PublishContext,
  type Publication,
  readPublication,
} from '../draft.ts';
import { badFields, type FieldError, Refusal, unavailable } from '../errors.ts';
import type { Hub } from '../hub/hub.ts';
import { BatchRefused, type MessageLog, type Stored } from '../log/message-log.ts';
import { messageJson } from '../message.ts';
import type { Identity } from '../auth/identity.ts';
import { identityOf } from './authenticate.ts';
import { parseBody } from './body.ts';
import type { Handler, RoutedRequest } from './handler.ts';
import { forbidden, notNamed } from './permission.ts';
import type { PublishRate } from './publish-rate.ts';
import { Query } from './query.ts';
import { sendJson } from './send-json.ts';

const MAX_BATCH = 1000;

/** The sender where none is given and nobody says who they are. */
const OPEN_MODE_SENDER = 'anonymous';

/**
 * `POST /messages`: takes one message or a batch, and answers when it is on disk.
 *
 * 201 with the stored message (a batch: an array, in order); 200 where nothing new was stored, since each was sent
 * before or a read marker does not move; 202 with `{"devices": n}` for an ephemeral one. Where anything is wrong, not
 * allowed (403), or too fast (429), nothing is stored.
 *
 * @param basePath what stands before the paths of this service where clients reach it, for `Location`
 */
export function publish(
  { log, hub, now }: { log: MessageLog; hub: Hub; now: () => number },
  rate: PublishRate,
  basePath: string,
): Handler {
  return async (request, response) => {
    new Query(request.url, []).check();
    const body = parseBody(request);
    const identity = identityOf(request);
    const context = { now: now(), defaultSender: identity.client ?? OPEN_MODE_SENDER };
    const headerKey = readHeaderKey(request);
    if (Array.isArray(body)) {
      if (headerKey !== undefined) {
        throw headerFault('is for a single message; in a batch give each its idempotencyKey');
      }
      const batch = readBatch(body, context);
      requireAllowed(batch, identity, true);
      rate.take(identity, batch.length);
      const stored = await append(log, batch, true);
      const json = `[${stored.map(({ message }) => messageJson(message)).join(',')}]`;
      sendJson(response, json, { status: stored.some(({ isNew }) => isNew) ? 201 : 200 });
      return;
    }
    const publication = readSingle(body, headerKey, context);
    requireAllowed([publication], identity, false);
    rate.take(identity, 1);
    if (publication.ephemeral) {
      const devices = hub.dispatchEphemeral(publication.draft);
      sendJson(response, JSON.stringify({ devices }), { status: 202 });
      return;
    }
    const [stored] = await append(log, [publication], false);
    if (stored !== undefined) answerSingle(response, stored, basePath);
  };
}

function answerSingle(response: ServerResponse, { message, isNew }: Stored, basePath: string): void {
  const headers = { Location: `${basePath}/messages/${message.id}` };
  sendJson(response, messageJson(message), isNew ? { status: 201, headers } : {});
}

/** @throws {Refusal} 403 where the token does not let one send so */
function requireAllowed(publications: readonly Publication[], identity: Identity, isBatch: boolean): void {
  const errors: FieldError[] = [];
  const path = (index: number, field: string): string => (isBatch ? `/${index}/${field}` : `/${field}`);
  for (const [index, { draft }] of publications.entries()) {
    if (!identity.sendAs.has(draft.sender))
      errors.push({ path: path(index, 'sender'), message: notNamed('sendAs') });
    if (!identity.sendTo.has(draft.recipient))
      errors.push({ path: path(index, 'recipient'), message: notNamed('sendTo') });
  }
  if (errors.length > 0) throw forbidden(errors);
}

function readSingle(body: unknown, headerKey: string | undefined, context: PublishContext): Publication {
  let fields = body;
  if (headerKey !== undefined && typeof body === 'object' && body !== null) {
    if (Object.hasOwn(body, 'idempotencyKey')) {
      throw headerFault('is given, and "idempotencyKey" in the body as well; give one');
    }
    fields = { ...body, idempotencyKey: headerKey };
  }
  const errors: FieldError[] = [];
  const publication = readChecked(fields, '', context, errors);
  if (publication === undefined) throw badFields(errors);
  return publication;
}

function readBatch(body: readonly unknown[], context: PublishContext): Publication[] {
  if (body.length < 1 || body.length > MAX_BATCH) {
    throw new Refusal('malformed', `A batch has 1 to ${MAX_BATCH} messages, not ${body.length}.`);
  }
  const errors: FieldError[] = [];
  const publications: Publication[] = [];
  for (const [index, fields] of body.entries()) {
    const publication = readChecked(fields, `/${index}`, context, errors);
    if (publication?.ephemeral === true) {
      errors.push({ path: `/${index}/ephemeral`, message: 'cannot be given in a batch' });
    } else if (publication !== undefined) {
      publications.push(publication);
    }
  }
  if (errors.length > 0) throw badFields(errors);
  return publications;
}

function readChecked(
  fields: unknown,
  path: string,
  context: PublishContext,
  errors: FieldError[],
): Publication | undefined {
  try {
    return readPublication(fields, path, context, errors);
  } catch (error) {
    if (!(error instanceof ContentTooLarge)) throw error;
    throw new Refusal('too-large', error.message, {
      errors: [{ path: `${path}/content`, message: 'is too large' }],
    });
  }
}

/** The header's bytes are UTF-8, as a body's are; Node gives them as Latin-1. */
function readHeaderKey(request: RoutedRequest): string | undefined {
  const [value, ...others] = request.headersDistinct['idempotency-key'] ?? [];
  if (value === undefined) return undefined;
  if (others.length > 0) throw headerFault('is given more than once');
  const key = Buffer.from(value, 'latin1').toString('utf8');
  const why = key.includes('\uFFFD') ? 'must be UTF-8' : keyFault(key);
  if (why !== undefined) throw headerFault(why);
  return key;
}

function headerFault(message: string): Refusal {
  return badFields([{ path: '/Idempotency-Key', message }]);
}

async function append(
  log: MessageLog,
  publications: readonly Publication[],
  isBatch: boolean,
): Promise<Stored[]> {
  try {
    return await log.append(publications.map(({ draft }) => draft));
  } catch (error) {
    throw error instanceof BatchRefused ? faultOf(error, isBatch, log.head) : error;
  }
}

function faultOf({ fault, index }: BatchRefused, isBatch: boolean, head: number): Refusal {
  const path = isBatch ? `/${index}` : '';
  switch (fault) {
    case 'key-conflict': {
      const message = 'was used for a message with another type or content; give a new message a new key';
      return new Refusal('conflict', `${path}/idempotencyKey ${message}`, {
        errors: [{ path: `${path}/idempotencyKey`, message }],
      });
    }
    case 'marker-ahead':
      return badFields([
        { path: `${path}/content/messageId`, message: `must be the id of a message: 1 to ${head}` },
      ]);
    case 'ids-exhausted':
      return unavailable('Nothing was stored: the log has given its last id (2^53 - 1).', 3600);
  }
}
