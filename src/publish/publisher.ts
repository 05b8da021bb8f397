import type { Identity } from '../auth/identity.ts';
import { ContentTooLarge, type PublishContext, type Publication, readPublication } from './draft.ts';
import { badFields, type FieldError, Refusal, unavailable } from '../errors.ts';
import { MESSAGE_RULES } from './message-fields.ts';
import type { Hub } from '../hub/hub.ts';
import {
  BatchRefused,
  BatchTooLarge,
  LogUnavailable,
  type MessageLog,
  type Stored,
} from '../log/message-log.ts';
import { asEphemeral, messageJson } from '../message.ts';
import { forbidden, notNamed } from '../auth/permission.ts';
import type { PublishRate } from './publish-rate.ts';

/** The default sender of publishers without an identity. */
const OPEN_MODE_SENDER = 'anonymous';

/** The outcome of a publish. */
export type Published =
  | { readonly kind: 'single'; readonly stored: Stored }
  | { readonly kind: 'batch'; readonly stored: readonly Stored[] }
  /** The number of streams it reached; `undefined` if its publisher may not see presence. */
  | { readonly kind: 'ephemeral'; readonly devices: number | undefined };

/** The publisher of clients' messages, for all protocols. It checks their fields and permissions. */
export class Publisher {
  readonly #log: MessageLog;
  readonly #hub: Hub;
  readonly #now: () => number;
  readonly #rate: PublishRate;

  constructor({ log, hub, now }: { log: MessageLog; hub: Hub; now: () => number }, rate: PublishRate) {
    this.#log = log;
    this.#hub = hub;
    this.#now = now;
    this.#rate = rate;
  }

  /**
   * Publishes one message or a batch that the rate has admitted. Publishes are stored in the order of the calls. This is
   * not an async function, because that would keep its arguments in memory while it waits.
   *
   * @param body a parsed JSON value: an object, or an array for a batch
   * @returns the outcome, once it is on disk
   * @throws {Refusal} if anything is invalid or not allowed (403); then nothing is stored
   * @throws {LogUnavailable} if the log cannot be written, or this node is cut off
   */
  publish(body: unknown, identity: Identity): Promise<Published> {
    const context = {
      defaultSender: identity.client ?? OPEN_MODE_SENDER,
      mayRead: (address: string) => identity.read.has(address),
    };
    if (Array.isArray(body)) {
      // One message was taken from the rate when the request was admitted.
      this.#rate.take(identity, Math.max(0, body.length - 1));
      const batch = readBatch(body, context);
      requireAllowed(batch, identity, true);
      return append(this.#log, batch, true).then((stored) => ({ kind: 'batch', stored }));
    }
    const publication = readSingle(body, context);
    requireAllowed([publication], identity, false);
    if (publication.ephemeral) {
      const { cutOff } = this.#log;
      if (cutOff !== undefined) throw new LogUnavailable(cutOff);
      const isVisible = identity.presence.has(publication.draft.recipient);
      return this.#hub
        .dispatchEphemeral(asEphemeral(publication.draft, this.#now()), isVisible)
        .then((devices) => ({ kind: 'ephemeral', devices: isVisible ? devices : undefined }));
    }
    return append(this.#log, [publication], false).then(([stored]) => ({
      kind: 'single',
      stored: stored as Stored,
    }));
  }
}

/** Returns the answer to a publisher as JSON: the message, the messages of a batch in order, or the number of streams. */
export function publishedJson(published: Published): string {
  switch (published.kind) {
    case 'single':
      return messageJson(published.stored.message);
    case 'batch':
      return `[${published.stored.map(({ message }) => messageJson(message)).join(',')}]`;
    case 'ephemeral':
      return JSON.stringify({ devices: published.devices });
  }
}

/** Checks the senders and recipients. @throws {Refusal} 403 if the token does not allow one of them */
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

function readSingle(body: unknown, context: PublishContext): Publication {
  const errors: FieldError[] = [];
  const publication = readChecked(body, '', context, errors);
  if (publication === undefined) throw badFields(errors);
  return publication;
}

function readBatch(body: readonly unknown[], context: PublishContext): Publication[] {
  if (body.length < 1 || body.length > MESSAGE_RULES.maxBatch) {
    throw new Refusal(
      'malformed',
      `A batch must have 1 to ${MESSAGE_RULES.maxBatch} messages, not ${body.length}.`,
    );
  }
  const errors: FieldError[] = [];
  const publications: Publication[] = [];
  for (const [index, fields] of body.entries()) {
    const publication = readChecked(fields, `/${index}`, context, errors);
    if (publication?.ephemeral === true) {
      errors.push({
        path: `/${index}/ephemeral`,
        message: 'is not allowed in a batch: publish the message by itself',
      });
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

async function append(
  log: MessageLog,
  publications: readonly Publication[],
  isBatch: boolean,
): Promise<Stored[]> {
  try {
    return await log.append(publications.map(({ draft }) => draft));
  } catch (error) {
    if (error instanceof BatchTooLarge) throw tooLarge(error);
    throw error instanceof BatchRefused ? faultOf(error, isBatch) : error;
  }
}

/** Returns the refusal of a batch. A single message always fits: at the start, servers that accept less are refused. */
function tooLarge({ bytes, maxBytes }: BatchTooLarge): Refusal {
  return new Refusal(
    'too-large',
    `The batch takes ${bytes} bytes in the log, but may take at most ${maxBytes}: split it.`,
  );
}

function faultOf({ fault, index }: BatchRefused, isBatch: boolean): Refusal {
  const path = isBatch ? `/${index}` : '';
  switch (fault) {
    case 'key-conflict': {
      const message = 'was used for a message with a different type or content; give a new message a new key';
      return badFields([{ path: `${path}/idempotencyKey`, message }], 'conflict');
    }
    case 'ids-exhausted':
      return unavailable('Nothing was stored: the log has given its last id (2^53 - 1).', 3600);
  }
}
