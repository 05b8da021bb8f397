import type { Logger } from 'pino';
import type { EntryStream } from '../log/order/entry-stream.ts';

/** A clock that differs more than this from that of the order is wrong. */
const MAX_OFF_MILLISECONDS = 5000;

/** The clocks are compared this often, and more often while they differ or the order does not answer. */
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
 * Compares the clock of this machine with that of the server that gives entries their time. Either may be the wrong one;
 * one that differs from most others is.
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

  /** Why this node must not act by its clock, in words fit for a client; `undefined` if it may. */
  get fault(): string | undefined {
    return this.#offBy === 0 ? undefined : 'the clock of this node differs from that of the cluster';
  }

  /** Whether the clock was compared, and is right. */
  get isRight(): boolean {
    return this.#isKnown && this.#offBy === 0;
  }

  /** How far the clock is ahead (or behind, if negative), in milliseconds, at least; 0 if it is right, as far as is known. */
  get offBy(): number {
    return this.#offBy;
  }

  /** Begins to compare. */
  start(): void {
    void this.#keepChecking();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** Compares the clocks once. The order's time lies between the question and the answer. Never throws. */
  async check(): Promise<void> {
    const { stream, now } = this.#options;
    const asked = now();
    let time: number | undefined;
    try {
      time = (await stream.extent()).now;
    } catch {
      // The last answer stays: whether the node hears of others is looked at elsewhere.
      return;
    }
    const answered = now();
    this.#isKnown = true;
    if (time === undefined) return;
    const ahead = Math.max(0, asked - time);
    const behind = Math.max(0, time - answered);
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
      'the clock of this machine is ahead of that of NATS (behind, if negative): the node is not ready, and does not lead. ' +
        'Set the clock of the machine that is wrong',
    );
  }
}
