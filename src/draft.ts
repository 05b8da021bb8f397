import { addressFault } from './address.ts';
import { type FieldError, pointerToken, unknownName } from './errors.ts';
import { type Draft, MESSAGE_TYPE, READ_TYPE } from './message.ts';
import { oneLine } from './one-line.ts';

/** One publish, checked: a draft, and whether it is for the live streams alone. */
export interface Publication {
  readonly draft: Draft;
  readonly ephemeral: boolean;
}

/** What a publish may carry beside its body, and what a field is measured against. */
export interface PublishContext {
  /** Milliseconds since the Unix epoch: the draft's `createdAt`. */
  readonly now: number;
  /** Who sends where the body names no sender. */
  readonly defaultSender: string;
  /** Whether whoever publishes it may read the inbox of an address. */
  readonly mayRead: (address: string) => boolean;
}

/** At most this much content, as a stream has it, so that a frame's line stays under 64 KiB: common clients' limit. */
const MAX_CONTENT_BYTES = 48 * 1024;

/** So many unknown fields are named; an object could have a million. */
const MOST_UNKNOWN = 100;

const MAX_TTL_SECONDS = 31_536_000;
const MAX_KEY_CODE_POINTS = 128;
const FIELDS = ['sender', 'recipient', 'type', 'content', 'idempotencyKey', 'ttl', 'background', 'ephemeral'];
const LONE_SURROGATE = 'must be well-formed Unicode: it has a lone surrogate';
const TYPE_PATTERN = /^[a-z][a-z0-9._-]{0,63}$/;

/** A content over its size: a status of its own (413), so told apart from the other faults. */
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
 * @param errors takes each bad field
 * @returns the publication, or `undefined` where `errors` got one
 * @throws {ContentTooLarge} where the content's JSON is over 48 KiB
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
    if (errors.length - before >= MOST_UNKNOWN) break;
    if (!FIELDS.includes(field))
      fault(field, unknownName(field, 'a field of a message', FIELDS, errors.length));
  }
  // A parsed value has no `undefined` in it: what is that was not given.
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
    createdAt: context.now,
    idempotencyKey: (key as string | undefined) ?? null,
    expiresAt: ttl === undefined ? null : context.now + (ttl as number) * 1000,
    background: background === true ? 1 : 0,
  };
  if (type !== READ_TYPE) return { draft, ephemeral: ephemeral as boolean };
  return { draft: { ...draft, readsRecipient: context.mayRead(draft.recipient) }, ephemeral: false };
}

/**
 * Says why a value is no idempotency key.
 *
 * @returns what is wrong, or `undefined` where it is one
 */
export function keyFault(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'must be a string';
  if (!value.isWellFormed()) return LONE_SURROGATE;
  const length = value.length > 2 * MAX_KEY_CODE_POINTS ? Infinity : Array.from(value).length;
  return length >= 1 && length <= MAX_KEY_CODE_POINTS
    ? undefined
    : `must be 1 to ${MAX_KEY_CODE_POINTS} characters long`;
}

function typeFault(value: unknown): string | undefined {
  return typeof value === 'string' && TYPE_PATTERN.test(value)
    ? undefined
    : 'must be 1 to 64 of a-z, 0-9, ".", "_", "-", beginning with a letter';
}

function ttlFault(value: unknown): string | undefined {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_TTL_SECONDS
    ? undefined
    : `must be a whole number of seconds from 1 to ${MAX_TTL_SECONDS} (a year)`;
}

/** A read marker's content is `{"messageId": n}` and nothing else; whether the log is that far, the log says. */
function markerFault(content: unknown): string | undefined {
  const given = typeof content === 'object' && content !== null ? Object.entries(content) : [];
  const id = new Map<string, unknown>(given).get('messageId');
  if (!Number.isSafeInteger(id) || (id as number) < 1)
    return 'must be the id of the last message that was read';
  return given.length > 1 ? 'must stand alone in the content of a read marker' : undefined;
}
