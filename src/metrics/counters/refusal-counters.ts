import { type RefusalCode, REFUSAL_STATUS } from '../../errors.ts';

/** The reason of a refusal: its code, or `internal` if the service failed. */
export type RefusalReason = RefusalCode | 'internal';

/** The number of requests that were refused for one reason with one status. */
export interface RefusalCount {
  readonly reason: RefusalReason;
  readonly status: number;
  count: number;
}

/** Counters of refused requests since the start. Every reason exists from the beginning, with 0. */
export class RefusalCounters {
  readonly #counts = new Map<string, RefusalCount>();

  constructor() {
    for (const [reason, status] of Object.entries(REFUSAL_STATUS)) this.#at(reason as RefusalCode, status);
    this.#at('internal', 500);
    // Streams that are refused in band: event streams, WebSockets.
    for (const status of [200, 101]) {
      this.#at('unavailable', status);
      this.#at('unauthenticated', status);
    }
  }

  get counts(): Iterable<RefusalCount> {
    return this.#counts.values();
  }

  /** Counts a refusal. */
  add(reason: RefusalReason, status: number): void {
    this.#at(reason, status).count++;
  }

  #at(reason: RefusalReason, status: number): RefusalCount {
    const key = `${reason} ${status}`;
    let count = this.#counts.get(key);
    if (count === undefined) this.#counts.set(key, (count = { reason, status, count: 0 }));
    return count;
  }
}
