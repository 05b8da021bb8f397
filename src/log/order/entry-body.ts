/**
 * Validates the bodies of entries in a stream. No function here throws or recurses, however odd or deeply nested a body
 * is.
 */
import { hasAddressForm } from '../../address.ts';
import type { EntryBody, Purge } from '../entry.ts';
import type { NewPushSubscription, PushBounds, PushChange } from '../push-store.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A body of a kind that is encoded as an object. */
type ObjectBody = Exclude<EntryBody, { kind: 'append' | 'unreadable' }>;

/** The maximum length of a text field: longer than any client can send. */
const MAX_TEXT = 64 * 1024;

/** The maximum number of purges in an entry, and of rows that a purge examines: far more than this program uses. */
const MAX_PURGES = 1000;
const MAX_ROWS = 100_000;

/** The latest time that a `Date` can hold. */
const MAX_MILLISECONDS = 8.64e15;

const EPOCH = /^[0-9a-z]{1,16}$/;

/**
 * Reads the body of any entry but an append.
 *
 * @param value a parsed JSON value
 * @returns a new object with only the fields of its kind; `undefined` if the value is not a valid body
 */
export function readBody(value: unknown): ObjectBody | undefined {
  if (!isFields(value)) return undefined;
  switch (value['kind']) {
    case 'purge':
      return readPurgeEntry(value);
    case 'push': {
      const changes = readList(value['changes'], readChange);
      return changes && { kind: 'push', changes };
    }
    case 'epoch': {
      const { epoch } = value;
      return typeof epoch === 'string' && EPOCH.test(epoch) ? { kind: 'epoch', epoch } : undefined;
    }
    case 'settings': {
      const { retention } = value;
      if (!isFields(retention)) return undefined;
      const { days, messages } = retention;
      if (!isMissingOr(isCount, days) || !isMissingOr(isCount, messages)) return undefined;
      return { kind: 'settings', retention: { ...given({ days }), ...given({ messages }) } };
    }
    case 'tick': {
      const { retentionTime } = value;
      return isMissingOr(isTime, retentionTime) ? { kind: 'tick', ...given({ retentionTime }) } : undefined;
    }
    default:
      return undefined;
  }
}

function readPurgeEntry({ purge: first, also: others, origin }: Fields): ObjectBody | undefined {
  const purge = readPurge(first);
  const also = others === undefined ? [] : readList(others, readPurge);
  if (purge === undefined || also === undefined || also.length >= MAX_PURGES) return undefined;
  if (!isMissingOr(isText, origin)) return undefined;
  return { kind: 'purge', purge, ...(also.length === 0 ? {} : { also }), ...given({ origin }) };
}

function readPurge(value: unknown): Purge | undefined {
  if (!isFields(value)) return undefined;
  const { by, now, limit, from, expiredAfter, after, age, recipient, through } = value;
  if (!isTime(now) || !isCount(limit) || limit > MAX_ROWS) return undefined;
  switch (by) {
    case 'expiry':
      return isMissingOr(isCount, from) && isMissingOr(isTime, expiredAfter)
        ? { by, now, limit, ...given({ from }), ...given({ expiredAfter }) }
        : undefined;
    case 'age':
      return isCount(after) && isAge(age) ? { by, now, limit, after, age } : undefined;
    case 'count':
      return hasAddressForm(recipient) && isCount(after) && isCount(through)
        ? { by, now, limit, recipient, after, through }
        : undefined;
    case 'proposers':
      return isAge(age) ? { by, now, limit, age } : undefined;
    default:
      return undefined;
  }
}

function readChange(value: unknown): PushChange | undefined {
  if (!isFields(value)) return undefined;
  const { kind, id, endpoint, recipient, limit, peer, messageId, through } = value;
  switch (kind) {
    case 'subscribe': {
      const subscription = readSubscription(value['subscription']);
      const bounds = readBounds(value['bounds']);
      return subscription && bounds && { kind, subscription, bounds };
    }
    case 'unsubscribe':
      return isText(endpoint) && isMissingOr(hasAddressForm, recipient) && isCount(limit)
        ? { kind, endpoint, recipient, limit }
        : undefined;
    case 'remove':
      return isCount(id) ? { kind, id } : undefined;
    case 'notified':
    case 'closed':
      return isCount(id) && hasAddressForm(peer) && isCount(messageId)
        ? { kind, id, peer, messageId }
        : undefined;
    case 'through':
      return isCount(id) && isCount(through) ? { kind, id, through } : undefined;
    default:
      return undefined;
  }
}

function readSubscription(value: unknown): NewPushSubscription | undefined {
  if (!isFields(value)) return undefined;
  const { client, recipient, reader, endpoint, p256dh, auth, expirationTime } = value;
  const isWhole =
    (client === null || isText(client)) &&
    hasAddressForm(recipient) &&
    hasAddressForm(reader) &&
    isText(endpoint) &&
    isText(p256dh) &&
    isText(auth) &&
    (expirationTime === null || isTime(expirationTime));
  return isWhole ? { client, recipient, reader, endpoint, p256dh, auth, expirationTime } : undefined;
}

function readBounds(value: unknown): PushBounds | undefined {
  if (!isFields(value)) return undefined;
  const { devices, recipients, perClient } = value;
  return isCount(devices) && isCount(recipients) && isCount(perClient)
    ? { devices, recipients, perClient }
    : undefined;
}

/** Reads a list. Returns `undefined` if the value is not a list or one of its items cannot be read. */
function readList<T>(value: unknown, read: (item: unknown) => T | undefined): T[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const items: T[] = [];
  for (const item of value as unknown[]) {
    const one = read(item);
    if (one === undefined) return undefined;
    items.push(one);
  }
  return items;
}

/** Returns the object with its one field, or an empty object if the field's value is `undefined`. */
function given<Name extends string, T>(
  field: Readonly<Record<Name, T | undefined>>,
): Partial<Record<Name, T>> {
  return Object.values(field)[0] === undefined ? {} : field;
}

function isMissingOr<T>(is: (value: unknown) => value is T, value: unknown): value is T | undefined {
  return value === undefined || is(value);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Returns whether a value is a time in milliseconds since the Unix epoch. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= MAX_MILLISECONDS;
}

/** Returns whether a value is a duration in milliseconds. */
function isAge(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value < Infinity;
}
