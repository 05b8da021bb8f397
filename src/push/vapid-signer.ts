import webPush from 'web-push';
import type { VapidKeys } from './vapid.ts';

/** What this service says of itself to push services (RFC 8292 §2.1). */
export interface VapidDetails extends VapidKeys {
  /** Whom they can write to: mailto: or https:. */
  readonly subject: string;
}

/** A signature is used again for this long, of the twelve hours that it holds: making one takes a millisecond. */
const REUSE_MILLISECONDS = 3_600_000;

/** Past so many push services all are made anew. */
const MOST_KEPT = 1000;

/** Signs requests for push services: one signature for many requests to the same (RFC 8292 §2 has it reused). */
export class VapidSigner {
  readonly #details: VapidDetails;
  readonly #kept = new Map<string, { readonly authorization: string; readonly at: number }>();

  constructor(details: VapidDetails) {
    this.#details = details;
  }

  /**
   * The `Authorization` of a request.
   *
   * @param origin of the push service
   * @param now milliseconds since the Unix epoch
   */
  authorization(origin: string, now: number): string {
    const kept = this.#kept.get(origin);
    // A clock that went back would give a signature of the future.
    if (kept !== undefined && kept.at <= now && now < kept.at + REUSE_MILLISECONDS) return kept.authorization;
    const { subject, publicKey, privateKey } = this.#details;
    const { Authorization: authorization } = webPush.getVapidHeaders(
      origin,
      subject,
      publicKey,
      privateKey,
      'aes128gcm',
      Math.floor(now / 1000) + 43_200,
    );
    if (this.#kept.size >= MOST_KEPT) this.#kept.clear();
    this.#kept.set(origin, { authorization, at: now });
    return authorization;
  }
}
