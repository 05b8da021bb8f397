import type { Logger } from 'pino';
import type { EntryStream } from '../log/order/entry-stream.ts';

/** A clock is wrong if it differs from the order's clock by more than this. */
const MAX_OFF_MILLISECONDS = 5000;

/** The interval between comparisons, and the shorter one while the clocks differ or the order does not answer. */
const CHECK_MILLISECONDS = 10_000;
const CHECK_AGAIN_MILLISECONDS = 2000;

/** The options of the check. */
export interface ClockCheckOptions {
  readonly stream: Pick<EntryStream, 'extent'>;
  readonly logger: Logger;
  /** Returns milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/**
 * Compares the clock of this machine with that of the server that timestamps entries. Either may be wrong: the one that
 * differs from most others is.
 */
export class ClockCheck {
  readonly #options: ClockCheckOptions;
  #isKnown = false;
  #offBy = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: ClockCheckOptions) {
    this.#options = options;
  }

  /** Why this node must not rely on its clock, in words fit for a client; `undefined` if it may. */
  get fault(): string | undefined {
    return this.#offBy === 0 ? undefined : 'the clock of this node differs from that of the cluster';
  }

  /** Whether the clock has been compared and is right. */
  get isRight(): boolean {
    return this.#isKnown && this.#offBy === 0;
  }

  /**
   * The least amount by which the clock must be ahead (or behind, if negative), in milliseconds; 0 if it is right as
   * far as is known.
   */
  get offBy(): number {
    return this.#offBy;
  }

  /** Starts comparing. */
  start(): void {
    void this.#keepChecking();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** Compares the clocks once. The order's time must lie between the request and the answer. Never throws. */
  async check(): Promise<void> {
    const { stream, now } = this.#options;
    const asked = now();
    let time: number | undefined;
    try {
      time = (await stream.extent()).now;
    } catch {
      // Keep the last result: other parts check whether this node is cut off.
      return;
    }
    const answered = now();
    this.#isKnown = true;
    if (time === undefined) return;
    const ahead = asked - time;
    const behind = time - answered;
    const off = ahead > MAX_OFF_MILLISECONDS ? ahead : behind > MAX_OFF_MILLISECONDS ? -behind : 0;
    if ((off === 0) !== (this.#offBy === 0)) this.#log(off);
    this.#offBy = off;
  }

  async #keepChecking(): Promise<void> {
    await this.check();
    if (this.#isStopped) return;
    const pause = this.isRight ? CHECK_MILLISECONDS : CHECK_AGAIN_MILLISECONDS;
    this.#timer = setTimeout(() => void this.#keepChecking(), pause).unref();
  }

  #log(off: number): void {
    const { logger } = this.#options;
    if (off === 0) {
      logger.info('the clock of this machine agrees with that of the cluster again');
      return;
    }
    logger.error(
      { seconds: Math.round(off / 1000) },
      'the clock of this machine is ahead of that of NATS (behind, if negative): the node is not ready and does not hold the lease. ' +
        'Set the clock that is wrong',
    );
  }
}
