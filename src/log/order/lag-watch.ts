import { setTimeout as wait } from 'node:timers/promises';
import type { CatchUp } from './catch-up.ts';

/** The pause after a node has caught up, and after it has failed to. */
const PAUSE_MILLISECONDS = 10_000;
const AGAIN_MILLISECONDS = 1000;

/** A node lags if it fails to catch up this many times in a row. Each attempt takes five seconds. */
const MAX_MISSES = 3;

/**
 * Watches whether a node keeps up with its stream: every few seconds, the node must reach the current end of the stream
 * within five seconds. A node that starts following, or has heard nothing for long, must catch up first.
 */
export class LagWatch {
  readonly #catchUp: CatchUp;
  /** Ends the current pause. */
  #wake = new AbortController();
  #isClosed = false;
  #hasCaughtUp = false;
  #misses = 0;
  /** The number of restarts. The result of a wait that began before a restart does not count. */
  #restarts = 0;

  constructor(catchUp: CatchUp) {
    this.#catchUp = catchUp;
  }

  /** Whether the node has caught up since it started following. */
  get hasCaughtUp(): boolean {
    return this.#hasCaughtUp;
  }

  /** Whether the node has been behind for about 15 seconds. */
  get lags(): boolean {
    return this.#misses >= MAX_MISSES;
  }

  /** Starts the watch. */
  start(): void {
    void this.#watch();
  }

  /** Notes that the node starts following again and must catch up first. */
  restart(): void {
    this.#hasCaughtUp = false;
    this.#restarts++;
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  /** Ends the watch. */
  close(): void {
    this.#isClosed = true;
    this.#wake.abort();
  }

  async #watch(): Promise<void> {
    while (!this.#isClosed) {
      const restarts = this.#restarts;
      const { signal } = this.#wake;
      const isReached = await this.#catchUp.wait().then(
        () => true,
        () => false,
      );
      this.#misses = isReached ? 0 : this.#misses + 1;
      if (isReached && restarts === this.#restarts) this.#hasCaughtUp = true;
      const pause = this.#hasCaughtUp && isReached ? PAUSE_MILLISECONDS : AGAIN_MILLISECONDS;
      await wait(pause, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}
