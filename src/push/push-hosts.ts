import { isIP } from 'node:net';
import type { Schema } from '../schema.ts';

/** The push services of Chrome and its relatives, Firefox, Edge and Safari. */
export const BROWSERS_PUSH_HOSTS = [
  'fcm.googleapis.com',
  '*.push.services.mozilla.com',
  '*.notify.windows.com',
  '*.push.apple.com',
];

/** A DNS name in lower case, with a dot in it and none at its end. */
const HOST_NAME = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** The endpoints of all push services are shorter. */
const MAX_ENDPOINT_LENGTH = 2048;

/** The schema of an endpoint. It cannot state which hosts are allowed. */
export const ENDPOINT_SCHEMA: Schema = {
  type: 'string',
  format: 'uri',
  maxLength: MAX_ENDPOINT_LENGTH,
  description: 'The https URL from the browser, without a port. Its host must be in `PUSH_HOSTS`.',
};

/** An endpoint that notifications may be sent to. */
export interface Endpoint {
  readonly url: URL;
  /** The entry of `PUSH_HOSTS` that it matches. */
  readonly service: string;
}

/**
 * The hosts that notifications are sent to. An endpoint is a URL from a stranger, and this service would call it from
 * inside its network, so only known push services are called.
 */
export class PushHosts {
  readonly #entries: readonly string[];

  /**
   * @param entries host names, and `*.` before one for all names below it
   * @throws {RangeError} if one is neither, as the end of the sentence "PUSH_HOSTS …"
   */
  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      if (HOST_NAME.test(entry.replace(/^\*\./, ''))) continue;
      throw new RangeError(
        'must be a list of host names such as push.example.org, or *.push.example.org for all below it',
      );
    }
    this.#entries = entries;
  }

  /**
   * Parses an endpoint.
   *
   * @returns the endpoint, or the rule that it breaks, as the end of the sentence "endpoint …"
   */
  read(text: string): Endpoint | string {
    if (text.length > MAX_ENDPOINT_LENGTH) return `must be at most ${MAX_ENDPOINT_LENGTH} characters long`;
    if (!URL.canParse(text)) return 'must be a URL';
    const url = new URL(text);
    if (url.protocol !== 'https:') return 'must be an https URL';
    if (url.port !== '') return 'must not have a port';
    if (url.username !== '' || url.password !== '') return 'must not have a user or a password';
    if (url.hash !== '') return 'must not have a fragment';
    const { hostname } = url;
    // The URL parser has normalized the many notations of an address (WHATWG URL §3.5).
    if (isIP(hostname.replace(/^\[(.*)\]$/, '$1')) !== 0) return 'must name a host, not an address';
    const service = this.#entries.find((entry) =>
      entry.startsWith('*.') ? hostname.endsWith(entry.slice(1)) : hostname === entry,
    );
    if (service === undefined || !HOST_NAME.test(hostname)) {
      return 'must be of a push service in PUSH_HOSTS';
    }
    return { url, service };
  }
}

/** Shortens an endpoint for display: it is a secret, and its end is enough to tell it from others. */
export function shortened(endpoint: string): string {
  const { origin, pathname, search } = new URL(endpoint);
  const secret = pathname + search;
  return `${origin}/…${secret.length < 24 ? '' : secret.slice(-6)}`;
}
