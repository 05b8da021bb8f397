/** What is pinged. */
interface Pinged {
  ping(now: number, interval: number): void;
}

/**
 * Pings peers, so that those which are gone without a word are noticed (RFC 6455 §5.5.2): TCP alone takes minutes where
 * something waits for them, and for ever where nothing does.
 */
export class Pings {
  readonly #peers = new Set<Pinged>();
  readonly #timer: NodeJS.Timeout;

  /** @param interval milliseconds from one ping of a peer to the next */
  constructor(interval: number) {
    // One look at all of them instead of a timer for each.
    this.#timer = setInterval(
      () => {
        const now = performance.now();
        for (const peer of this.#peers) peer.ping(now, interval);
      },
      Math.min(1000, interval / 4),
    );
    this.#timer.unref();
  }

  add(peer: Pinged): void {
    this.#peers.add(peer);
  }

  remove(peer: Pinged): void {
    this.#peers.delete(peer);
  }
}
