import { type RefusalCode, REFUSAL_STATUS } from '../errors.ts';

/** Why a request was refused: the code of the refusal, or `internal` where the service failed. */
export type RefusalReason = RefusalCode | 'internal';

/** How many requests were refused for one reason with one status. */
export interface RefusalCount {
  readonly reason: RefusalReason;
  readonly status: number;
  count: number;
}

/** How many requests were refused since the start. Every reason is there from the beginning, with 0. */
export class Refusals {
  readonly #counts = new Map<string, RefusalCount>();

  constructor() {
    for (const [reason, status] of Object.entries(REFUSAL_STATUS)) this.#at(reason as RefusalCode, status);
    this.#at('internal', 500);
    // Streams that are sent away in band: as an event stream, as a WebSocket.
    for (const status of [200, 101]) {
      this.#at('unavailable', status);
      this.#at('unauthenticated', status);
    }
  }

  get counts(): Iterable<RefusalCount> {
    return this.#counts.values();
  }

  /** Counts one. */
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
