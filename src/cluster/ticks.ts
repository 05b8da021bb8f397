import { entryOf } from '../log/entry.ts';
import type { Order } from '../log/order/order.ts';

/** The interval of the lease holder's ticks. */
const TICK_MILLISECONDS = 2000;

/** Another node proposes a tick after this much silence plus a random delay, so that not all do it at once. */
const SILENT_MILLISECONDS = 6000;
const JITTER_MILLISECONDS = 4000;

const LOOK_MILLISECONDS = 250;

/** The options of ticks. */
export interface TicksOptions {
  readonly order: Pick<Order, 'propose'> & {
    /** The milliseconds since the last entry arrived. */
    readonly silence: number;
  };
  /** Whether this node holds the lease. */
  readonly isHolder: () => boolean;
}

/**
 * Proposes ticks, the entries that show that time passes: a node that receives none is cut off. The holder of the lease
 * proposes one every two seconds. If none arrives because nobody holds the lease, the other nodes propose them, less
 * often.
 */
export class Ticks {
  readonly #options: TicksOptions;
  #timer: NodeJS.Timeout | undefined;
  /** Whether the last tick has not come back yet. */
  #isProposing = false;
  #proposedAt = -Infinity;
  #patience = newPatience();

  constructor(options: TicksOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_MILLISECONDS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Proposes a tick if one is due. */
  look(): void {
    const { order, isHolder } = this.#options;
    if (this.#isProposing) return;
    const isTime = isHolder()
      ? performance.now() - this.#proposedAt >= TICK_MILLISECONDS
      : order.silence >= this.#patience;
    if (isTime) void this.#propose();
  }

  async #propose(): Promise<void> {
    this.#isProposing = true;
    this.#proposedAt = performance.now();
    this.#patience = newPatience();
    // The result does not matter: if it failed, no entry arrives, and `silence` grows.
    await this.#options.order.propose(entryOf({ kind: 'tick' }));
    this.#isProposing = false;
  }
}

function newPatience(): number {
  return SILENT_MILLISECONDS + Math.random() * JITTER_MILLISECONDS;
}
