import { isIP } from 'node:net';

/** The push services of the browsers: Chrome and its kin, Firefox, Edge, Safari. */
export const BROWSERS_PUSH_HOSTS = [
  'fcm.googleapis.com',
  '*.push.services.mozilla.com',
  '*.notify.windows.com',
  '*.push.apple.com',
];

/** A name of DNS in lower case, with a dot in it and none at its end. */
const HOST_NAME = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Longer than those of any push service. */
const MAX_ENDPOINT_LENGTH = 2048;

/** An endpoint that a message may be sent to. */
export interface Endpoint {
  readonly url: URL;
  /** The entry of `PUSH_HOSTS` that it falls under. */
  readonly service: string;
}

/**
 * The hosts that notifications are sent to. An endpoint is a URL that a stranger gives, and this service would call it
 * from inside its network; so it goes only to push services that are known.
 */
export class PushHosts {
  readonly #entries: readonly string[];

  /**
   * @param entries host names, and `*.` before one for all names below it
   * @throws {RangeError} where one is neither, as the end of the sentence "PUSH_HOSTS …"
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
   * Reads an endpoint.
   *
   * @returns it, or what is wrong, as the end of the sentence "endpoint …"
   */
  read(text: string): Endpoint | string {
    if (text.length > MAX_ENDPOINT_LENGTH) return `must be at most ${MAX_ENDPOINT_LENGTH} characters long`;
    if (!URL.canParse(text)) return 'must be a URL';
    const url = new URL(text);
    if (url.protocol !== 'https:') return 'must be an https URL';
    if (url.port !== '') return 'must not name a port';
    if (url.username !== '' || url.password !== '') return 'must not have a name or a password in it';
    if (url.hash !== '') return 'must not have a fragment';
    const { hostname } = url;
    // Addresses are written in many ways; by here they all are of one (WHATWG URL §3.5).
    if (isIP(hostname.replace(/^\[(.*)\]$/, '$1')) !== 0) return 'must name a host, not an address';
    const service = this.#entries.find((entry) =>
      entry.startsWith('*.') ? hostname.endsWith(entry.slice(1)) : hostname === entry,
    );
    if (service === undefined || !HOST_NAME.test(hostname)) {
      return 'must be of a push service that this service knows (PUSH_HOSTS)';
    }
    return { url, service };
  }
}

/** How much of an endpoint is shown: it is a secret, whose end tells one from another. */
export function shortened(endpoint: string): string {
  const { origin, pathname, search } = new URL(endpoint);
  const secret = pathname + search;
  return `${origin}/…${secret.length < 24 ? '' : secret.slice(-6)}`;
}
