import webPush from 'web-push';
import type { VapidKeys } from './vapid.ts';

/** The identity of this service for push services (RFC 8292 §2.1). */
export interface VapidDetails extends VapidKeys {
  /** A contact for the operators of push services: mailto: or https:. */
  readonly subject: string;
}

/** A signature is valid for twelve hours and reused for this long: making one takes a millisecond. */
const REUSE_MILLISECONDS = 3_600_000;

/** The cache is cleared when it has signatures for this many push services. */
const MAX_CACHED = 1000;

/** A signer of requests to push services. It reuses a signature for requests to the same service (RFC 8292 §2). */
export class VapidSigner {
  readonly #details: VapidDetails;
  readonly #cache = new Map<string, { readonly authorization: string; readonly at: number }>();

  constructor(details: VapidDetails) {
    this.#details = details;
  }

  /**
   * Returns the `Authorization` header of a request.
   *
   * @param origin the origin of the push service
   * @param now milliseconds since the Unix epoch
   */
  authorization(origin: string, now: number): string {
    const cached = this.#cache.get(origin);
    // If the clock was set back, the cached signature is from the future.
    if (cached !== undefined && cached.at <= now && now < cached.at + REUSE_MILLISECONDS)
      return cached.authorization;
    const { subject, publicKey, privateKey } = this.#details;
    const { Authorization: authorization } = webPush.getVapidHeaders(
      origin,
      subject,
      publicKey,
      privateKey,
      'aes128gcm',
      Math.floor(now / 1000) + 43_200,
    );
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
    this.#cache.set(origin, { authorization, at: now });
    return authorization;
  }
}
