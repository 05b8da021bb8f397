import type { Turns } from '../hub/turns.ts';

/** A peer that is pinged. */
interface Pinged {
  /** Pings it if it is time. @returns whether something was done */
  ping(now: number, interval: number): boolean;
}

/**
 * Pings peers, so that those which are gone without a word are noticed (RFC 6455 §5.5.2): TCP alone takes minutes if
 * something waits for them, and never notices if nothing does.
 */
export class Pings {
  readonly #peers = new Set<Pinged>();

  /** @param interval milliseconds from one ping of a peer to the next */
  constructor(interval: number, turns: Turns) {
    // One look at all of them instead of a timer for each.
    turns.every(Math.min(1000, interval / 4), () => this.#pingAll(interval));
  }

  add(peer: Pinged): void {
    this.#peers.add(peer);
  }

  remove(peer: Pinged): void {
    this.#peers.delete(peer);
  }

  *#pingAll(interval: number): Generator {
    const now = performance.now();
    for (const peer of this.#peers) if (peer.ping(now, interval)) yield;
  }
}
