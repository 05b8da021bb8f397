import { addressFault } from '../address.ts';
import { type FieldError, pointerToken, unknownName } from '../errors.ts';
import { type Draft, MESSAGE_TYPE, READ_TYPE } from '../message.ts';
import { keyFault, markerFault, ttlFault, typeFault } from '../message-rules.ts';
import { oneLine } from '../one-line.ts';

/** A checked publish: a draft, and whether it is for live streams only. */
export interface Publication {
  readonly draft: Draft;
  readonly ephemeral: boolean;
}

/** The context in which the body of a publish is checked. */
export interface PublishContext {
  /** The sender if the body names none. */
  readonly defaultSender: string;
  /** Returns whether the publisher may read the inbox of an address. */
  readonly mayRead: (address: string) => boolean;
}

/** The maximum size of a content in a stream. It keeps a frame's line under 64 KiB, the limit of common clients. */
const MAX_CONTENT_BYTES = 48 * 1024;

/** The maximum number of unknown fields that are reported; an object could have a million. */
const MAX_UNKNOWN = 100;

const FIELDS = ['sender', 'recipient', 'type', 'content', 'idempotencyKey', 'ttl', 'background', 'ephemeral'];

/** A content over the maximum size. It has a status of its own (413), so it is kept apart from other faults. */
export class ContentTooLarge extends Error {
  constructor(path: string, bytes: number) {
    super(
      `${path === '' ? '"content"' : `${path}/content`} is ${bytes} bytes as JSON, and may be at most ` +
        `${MAX_CONTENT_BYTES}: store it elsewhere, and send a link to it.`,
    );
    this.name = 'ContentTooLarge';
  }
}

/**
 * Checks one object of a publish.
 *
 * @param fields a parsed JSON value, of well-formed Unicode and finite numbers
 * @param path the JSON Pointer of that value in the body: empty for a single message
 * @param errors receives each bad field
 * @returns the publication; `undefined` if `errors` received one
 * @throws {ContentTooLarge} if the JSON of the content takes more than 48 KiB
 */
export function readPublication(
  fields: unknown,
  path: string,
  context: PublishContext,
  errors: FieldError[],
): Publication | undefined {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    errors.push({ path, message: 'must be a JSON object' });
    return undefined;
  }
  const before = errors.length;
  const fault = (field: string, message: string | undefined): void => {
    if (message !== undefined) errors.push({ path: `${path}/${pointerToken(field)}`, message });
  };

  for (const field of Object.keys(fields)) {
    if (errors.length - before >= MAX_UNKNOWN) break;
    if (!FIELDS.includes(field))
      fault(field, unknownName(field, 'a field of a message', FIELDS, errors.length));
  }
  // Parsed JSON has no `undefined`: such a field was not given.
  const {
    sender = context.defaultSender,
    recipient,
    type = MESSAGE_TYPE,
    content: value,
    idempotencyKey: key,
    ttl,
    background = false,
    ephemeral = false,
  } = fields as Record<string, unknown>;

  fault('sender', addressFault(sender));
  fault(
    'recipient',
    recipient === undefined ? 'is required: the address to send to' : addressFault(recipient),
  );
  fault('type', typeFault(type));
  if (value === undefined) fault('content', 'is required: any JSON value');
  if (key !== undefined) fault('idempotencyKey', keyFault(key));
  if (ttl !== undefined) fault('ttl', ttlFault(ttl));
  if (typeof background !== 'boolean') fault('background', 'must be true or false');
  if (typeof ephemeral !== 'boolean') fault('ephemeral', 'must be true or false');
  if (ephemeral === true) {
    const why = 'cannot be given with "ephemeral": such a message is not stored';
    if (ttl !== undefined) fault('ttl', why);
    if (key !== undefined) fault('idempotencyKey', why);
    if (background === true) fault('background', why);
    if (type === READ_TYPE) fault('ephemeral', 'cannot be given with type "read": a read marker is stored');
  }
  if (type === READ_TYPE) {
    if (ttl !== undefined) fault('ttl', 'cannot be given with type "read": a read marker does not expire');
    if (background === true)
      fault('background', 'cannot be given with type "read": a read marker never counts');
    if (value !== undefined) {
      const why = markerFault(value);
      if (why !== undefined) errors.push({ path: `${path}/content/messageId`, message: why });
    }
  }
  if (errors.length > before) return undefined;

  const content = JSON.stringify(value);
  const bytes = Buffer.byteLength(oneLine(content));
  if (bytes > MAX_CONTENT_BYTES) throw new ContentTooLarge(path, bytes);
  const draft: Draft = {
    sender: sender as string,
    recipient: recipient as string,
    type: type as string,
    content,
    idempotencyKey: (key as string | undefined) ?? null,
    ttl: (ttl as number | undefined) ?? null,
    background: background === true ? 1 : 0,
  };
  if (type !== READ_TYPE) return { draft, ephemeral: ephemeral as boolean };
  return { draft: { ...draft, readsRecipient: context.mayRead(draft.recipient) }, ephemeral: false };
}
