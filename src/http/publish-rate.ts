import type { Identity } from '../auth/identity.ts';
import { Refusal } from '../errors.ts';
import { Recent } from '../recent.ts';

interface Bucket {
  /** Messages that may be published now; below zero where a batch has overdrawn it. */
  level: number;
  /** When that was so, on the clock of `performance.now()`. */
  at: number;
}

/** A bucket holds what its rate gives in so many seconds: the burst. */
const BURST_SECONDS = 2;

/** The buckets of so many clients are kept at least, of those who published last. One that is forgotten is full. */
const KEPT_BUCKETS = 50_000;

/**
 * How fast each client may publish: a token bucket for each. A publish is admitted while the bucket is not empty and
 * may overdraw it, so that a batch larger than the burst passes, and is paid for by the wait after it.
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

  /**
   * Takes messages out of a client's bucket.
   *
   * @param messages how many; 0 only looks whether a publish would be admitted
   * @throws {Refusal} 429 where it is empty, with the seconds until it is not
   */
  take({ client = '', rate = this.#rate }: Identity, messages: number): void {
    if (rate === 0) return;
    const now = performance.now();
    const most = rate * BURST_SECONDS;
    const bucket = this.#buckets.get(client);
    const level =
      bucket === undefined ? most : Math.min(most, bucket.level + ((now - bucket.at) / 1000) * rate);
    if (level <= 0) {
      const wait = Math.max(1, Math.ceil(-level / rate));
      throw new Refusal('too-fast', `More than ${rate} messages a second; the next is taken in ${wait} s.`, {
        headers: { 'Retry-After': String(wait) },
      });
    }
    this.#buckets.set(client, { level: level - messages, at: now });
  }
}
