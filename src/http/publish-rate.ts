import type { Identity } from '../auth/identity.ts';
import { Refusal } from '../errors.ts';
import { Recent } from '../recent.ts';

interface Bucket {
  /** Messages that may be published now; below zero if a batch has overdrawn it. */
  level: number;
  /** When that was so, on the clock of `performance.now()`. */
  at: number;
}

/** A bucket holds what its rate gives in so many seconds: the burst. */
const BURST_SECONDS = 2;

/** A message of ordinary length is 1; so many bytes of a body are another, since reading and checking them takes as long. */
const BYTES_OF_ONE = 4096;

/** More seconds are not told: whoever reads them may take larger numbers for this one (RFC 9111 §1.2.2). */
const MAX_WAIT_SECONDS = 2 ** 31;

/** The buckets of so many clients are kept at least, of those who published last. One that is forgotten is full. */
const KEPT_BUCKETS = 50_000;

/**
 * How fast each client may publish: a token bucket for each. A publish is admitted while the bucket is not empty and
 * may overdraw it, so that a batch larger than the burst passes, and is paid for by the wait after it. Refused ones pay
 * as well: they cost as much.
 *
 * Our own, since the well-known limiters count in windows, or refuse what is larger than the bucket.
 */
export class PublishRate {
  readonly #rate: number;
  readonly #buckets = new Recent<string, Bucket>(KEPT_BUCKETS);

  /** @param rate messages a second for one client whose token names no other; 0: no limit */
  constructor(rate: number) {
    this.#rate = rate;
  }

  /** Returns how many messages a second a client may publish; 0: no limit. */
  rateOf({ rate = this.#rate }: Identity): number {
    return rate;
  }

  /**
   * Admits a publish, and takes 1 for it: call it once for each, before its body is read.
   *
   * @throws {Refusal} 429 if the client's bucket is empty, with the seconds until it is not; nothing is taken then
   */
  admit(identity: Identity): void {
    const rate = this.rateOf(identity);
    if (rate === 0) return;
    const level = this.#levelOf(identity.client, rate);
    if (level <= 0) {
      const wait = Math.min(MAX_WAIT_SECONDS, Math.max(1, Math.ceil(-level / rate)));
      throw new Refusal('too-fast', `More than ${rate} messages a second; the next is taken in ${wait} s.`, {
        headers: { 'Retry-After': String(wait) },
      });
    }
    this.take(identity, 1);
  }

  /**
   * Takes messages out of a client's bucket, more than are in it if need be; puts them back if the number is below 0.
   * Nothing happens if it is 0.
   */
  take({ client = '', rate = this.#rate }: Identity, messages: number): void {
    if (rate === 0 || messages === 0) return;
    const level = this.#levelOf(client, rate) - messages;
    this.#buckets.set(client, { level, at: performance.now() });
  }

  /** Takes the bytes of a publish that was admitted: 1 for each full 4 KiB, whatever becomes of it. */
  takeBytes(identity: Identity, bytes: number): void {
    this.take(identity, Math.floor(bytes / BYTES_OF_ONE));
  }

  #levelOf(client = '', rate: number): number {
    const most = rate * BURST_SECONDS;
    const bucket = this.#buckets.get(client);
    if (bucket === undefined) return most;
    return Math.min(most, bucket.level + ((performance.now() - bucket.at) / 1000) * rate);
  }
}
