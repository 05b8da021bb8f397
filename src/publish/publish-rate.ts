import type { Identity } from '../auth/identity.ts';
import { Refusal } from '../errors.ts';
import { Recent } from '../recent.ts';

interface Bucket {
  /** Messages that may be published now; below zero if a batch has overdrawn it. */
  level: number;
  /** The time of that level, on the clock of `performance.now()`. */
  at: number;
}

/** The burst: a full bucket holds the messages of this many seconds. */
const BURST_SECONDS = 2;

/** Each block of this many bytes takes as much from the bucket as a message, since reading and checking it takes as long. */
const BYTES_PER_MESSAGE = 4096;

/** The longest wait in an answer: clients may read larger numbers as this one (RFC 9111 §1.2.2). */
const MAX_WAIT_SECONDS = 2 ** 31;

/** At least this many buckets are kept, those of the most recent clients. A dropped bucket is full again. */
const KEPT_BUCKETS = 50_000;

/**
 * The rates at which clients may publish, with a token bucket for each client. A publish is admitted while the bucket is
 * not empty, and may overdraw it: a batch larger than the burst passes, and its client then waits longer. Refused
 * publishes are charged as well, since they cost as much.
 *
 * No library does this: the well-known ones count in windows, or refuse a request that is larger than the bucket.
 */
export class PublishRate {
  readonly #rate: number;
  readonly #buckets = new Recent<string, Bucket>(KEPT_BUCKETS);

  /** @param rate messages a second for a client whose token names no rate; 0: no limit */
  constructor(rate: number) {
    this.#rate = rate;
  }

  /** Returns how many messages a second a client may publish; 0: no limit. */
  rateOf({ rate = this.#rate }: Identity): number {
    return rate;
  }

  /**
   * Admits a publish, and takes 1 for it. Call it once for each publish, before its body is read.
   *
   * @throws {Refusal} 429 if the client's bucket is empty, with the seconds until it is not. Nothing is taken then
   */
  admit(identity: Identity): void {
    const rate = this.rateOf(identity);
    if (rate === 0) return;
    const level = this.#levelOf(identity.client, rate);
    if (level <= 0) {
      const wait = Math.min(MAX_WAIT_SECONDS, Math.max(1, Math.ceil(-level / rate)));
      throw new Refusal(
        'too-fast',
        `More than ${rate} messages a second: the next one is accepted in ${wait} s.`,
        {
          headers: { 'Retry-After': String(wait) },
        },
      );
    }
    this.take(identity, 1);
  }

  /**
   * Takes messages out of a client's bucket, even more than are in it. Puts them back if the number is negative, and does
   * nothing if it is 0.
   */
  take({ client = '', rate = this.#rate }: Identity, messages: number): void {
    if (rate === 0 || messages === 0) return;
    const level = this.#levelOf(client, rate) - messages;
    this.#buckets.set(client, { level, at: performance.now() });
  }

  /** Takes 1 for each full 4 KiB of an admitted publish, whether it succeeds or not. */
  takeBytes(identity: Identity, bytes: number): void {
    this.take(identity, Math.floor(bytes / BYTES_PER_MESSAGE));
  }

  #levelOf(client = '', rate: number): number {
    const capacity = rate * BURST_SECONDS;
    const bucket = this.#buckets.get(client);
    if (bucket === undefined) return capacity;
    return Math.min(capacity, bucket.level + ((performance.now() - bucket.at) / 1000) * rate);
  }
}
