import { ECDH } from 'node:crypto';
import type { FieldError } from '../errors.ts';
import { orNull, type Schema } from '../schema.ts';
import { ENDPOINT_SCHEMA, type PushHosts } from './push-hosts.ts';

/** A subscription from a browser, checked (W3C Push API §9). */
export interface GivenSubscription {
  readonly endpoint: string;
  readonly p256dh: string;
  readonly auth: string;
  readonly expirationTime: number | null;
}

const BASE64URL = /^[A-Za-z0-9_-]+$/;

/** The lengths of an uncompressed P-256 point and of the secret (RFC 8291 §3.1, §3.2). */
const P256DH_BYTES = 65;
const AUTH_BYTES = 16;

/** The latest time that a `Date` can hold. */
const MAX_MILLISECONDS = 8.64e15;

/** The schema of bytes in base64url without padding. @param beginning a pattern of their first digits */
const base64url = (bytes: number, beginning = ''): Schema => {
  const digits = Math.ceil((bytes * 8) / 6) - beginning.replace(/\[.*?\]/g, '-').length;
  return { type: 'string', pattern: `^${beginning}[A-Za-z0-9_-]{${digits}}$` };
};

/** The schema of a browser's subscription. It cannot state which hosts are allowed and which points are on the curve. */
export const SUBSCRIPTION_SCHEMA: Schema = {
  type: 'object',
  description: 'The unchanged `PushSubscription.toJSON()` of a browser. Its other fields are ignored.',
  properties: {
    endpoint: ENDPOINT_SCHEMA,
    expirationTime: orNull({ type: 'number', minimum: 0, maximum: MAX_MILLISECONDS }),
    keys: {
      type: 'object',
      properties: {
        p256dh: { ...base64url(P256DH_BYTES, 'B[A-P]'), description: 'An uncompressed P-256 point.' },
        auth: base64url(AUTH_BYTES),
      },
      required: ['p256dh', 'auth'],
    },
  },
  required: ['endpoint', 'keys'],
};

/**
 * Checks the JSON of a browser's `PushSubscription`. Unknown fields are allowed: browsers may add some.
 *
 * @param path the JSON Pointer of the value in the body
 * @param errors gets an error for each bad field
 * @returns the subscription, or `undefined` if a field is bad
 */
export function readSubscription(
  value: unknown,
  path: string,
  hosts: PushHosts,
  errors: FieldError[],
): GivenSubscription | undefined {
  const fields = fieldsOf(value);
  if (fields === undefined) {
    errors.push({ path, message: 'must be the JSON of a PushSubscription: endpoint, expirationTime, keys' });
    return undefined;
  }
  const before = errors.length;
  const fault = (field: string, message: string | undefined): void => {
    if (message !== undefined) errors.push({ path: `${path}/${field}`, message });
  };
  const endpoint = readEndpoint(fields.get('endpoint'), hosts);
  if (!(endpoint instanceof URL)) fault('endpoint', endpoint);
  const expirationTime = fields.get('expirationTime') ?? null;
  if (expirationTime !== null && !isTime(expirationTime)) {
    fault('expirationTime', 'must be null, or the time at which it expires, in milliseconds since 1970');
  }
  const keys = fieldsOf(fields.get('keys'));
  if (keys === undefined) fault('keys', 'must be an object with p256dh and auth');
  else {
    fault('keys/p256dh', pointFault(keys.get('p256dh')));
    fault('keys/auth', bytesOf(keys.get('auth'))?.length === AUTH_BYTES ? undefined : authRule);
  }
  if (errors.length > before) return undefined;
  return {
    endpoint: (endpoint as URL).href,
    p256dh: keys?.get('p256dh') as string,
    auth: keys?.get('auth') as string,
    expirationTime: expirationTime === null ? null : Math.floor(expirationTime as number),
  };
}

/**
 * Checks an endpoint.
 *
 * @returns the endpoint as a URL, or the rule that it breaks
 */
export function readEndpoint(value: unknown, hosts: PushHosts): URL | string {
  if (typeof value !== 'string') return 'must be a string: the URL from the browser';
  const endpoint = hosts.read(value);
  return typeof endpoint === 'string' ? endpoint : endpoint.url;
}

const authRule = `must be ${AUTH_BYTES} bytes in base64url without padding`;

function pointFault(value: unknown): string | undefined {
  const bytes = bytesOf(value);
  if (bytes?.length !== P256DH_BYTES || bytes[0] !== 4) {
    return `must be an uncompressed P-256 point: ${P256DH_BYTES} bytes in base64url without padding`;
  }
  try {
    ECDH.convertKey(bytes, 'prime256v1');
    return undefined;
  } catch {
    return 'must be a P-256 point: this one is not on the curve';
  }
}

function bytesOf(value: unknown): Buffer | undefined {
  if (typeof value !== 'string' || !BASE64URL.test(value)) return undefined;
  return Buffer.from(value, 'base64url');
}

function isTime(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= MAX_MILLISECONDS;
}

function fieldsOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return new Map<string, unknown>(Object.entries(value));
}
