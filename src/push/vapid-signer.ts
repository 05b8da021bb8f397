import { createPrivateKey, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import type { VapidKeys } from './vapid.ts';

/** The identity of this service for push services (RFC 8292 §2.1). */
export interface VapidDetails extends VapidKeys {
  /** A contact for the operators of push services: mailto: or https:. */
  readonly subject: string;
}

/** A signature is valid for this long. Push services allow 24 hours (RFC 8292 §2). */
const VALID_SECONDS = 12 * 3600;

/** A signature is reused for this long: making one takes a millisecond. */
const REUSE_MILLISECONDS = 3_600_000;

/** The cache is cleared when it has signatures for this many push services. */
const MAX_CACHED = 1000;

/** A signer of requests to push services. It reuses a signature for requests to the same service (RFC 8292 §2). */
export class VapidSigner {
  readonly #subject: string;
  readonly #publicKey: string;
  readonly #key: KeyObject;
  readonly #cache = new Map<string, { readonly authorization: Promise<string>; readonly at: number }>();

  constructor({ subject, publicKey, privateKey }: VapidDetails) {
    this.#subject = subject;
    this.#publicKey = publicKey;
    this.#key = privateKeyOf({ publicKey, privateKey });
  }

  /**
   * Returns the `Authorization` header of a request.
   *
   * @param origin the origin of the push service
   * @param now milliseconds since the Unix epoch
   */
  authorization(origin: string, now: number): Promise<string> {
    const cached = this.#cache.get(origin);
    // If the clock was set back, the cached signature is from the future.
    if (cached !== undefined && cached.at <= now && now < cached.at + REUSE_MILLISECONDS)
      return cached.authorization;
    const authorization = this.#sign(origin, now);
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
    this.#cache.set(origin, { authorization, at: now });
    return authorization;
  }

  async #sign(origin: string, now: number): Promise<string> {
    const claims = { aud: origin, exp: Math.floor(now / 1000) + VALID_SECONDS, sub: this.#subject };
    const token = await new SignJWT(claims).setProtectedHeader({ typ: 'JWT', alg: 'ES256' }).sign(this.#key);
    return `vapid t=${token}, k=${this.#publicKey}`;
  }
}

/** Returns the private key of a P-256 pair. */
function privateKeyOf({ publicKey, privateKey: d }: VapidKeys): KeyObject {
  const point = Buffer.from(publicKey, 'base64url');
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString('base64url'));
  return createPrivateKey({
    key: { kty: 'EC', crv: 'P-256', x: x ?? '', y: y ?? '', d },
    format: 'jwk',
  });
}
