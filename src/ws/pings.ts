import type { FairScheduler } from '../fair-scheduler.ts';

/** A peer to ping. */
interface PingTarget {
  /** Pings it if it is due. @returns whether anything was done */
  ping(now: number, interval: number): boolean;
}

/**
 * The pings of all WebSockets. They detect peers that vanished without closing (RFC 6455 §5.5.2). TCP alone takes
 * minutes to notice if bytes wait for such a peer, and never notices if none do.
 */
export class Pings {
  readonly #peers = new Set<PingTarget>();
  readonly #interval: number;
  readonly #scheduler: FairScheduler;
  #stop: (() => void) | undefined;

  /** @param interval milliseconds between two pings of a peer */
  constructor(interval: number, scheduler: FairScheduler) {
    this.#interval = interval;
    this.#scheduler = scheduler;
  }

  /** Starts pinging. */
  start(): void {
    // One check of all peers instead of a timer for each.
    this.#stop = this.#scheduler.every(Math.min(1000, this.#interval / 4), () => this.#pingAll());
  }

  /** Stops pinging. */
  stop(): void {
    this.#stop?.();
  }

  add(peer: PingTarget): void {
    this.#peers.add(peer);
  }

  remove(peer: PingTarget): void {
    this.#peers.delete(peer);
  }

  *#pingAll(): Generator {
    const interval = this.#interval;
    const now = performance.now();
    for (const peer of this.#peers) if (peer.ping(now, interval)) yield;
  }
}
