import { entryOf } from '../log/entry.ts';
import type { Order } from '../log/order/order.ts';

/** The holder of the lease says this often that time passes. */
const TICK_MILLISECONDS = 2000;

/** Another node does so after this silence, and up to that much later: not all of them at once. */
const SILENT_MILLISECONDS = 6000;
const JITTER_MILLISECONDS = 4000;

const LOOK_MILLISECONDS = 250;

/** The options of ticks. */
export interface TicksOptions {
  readonly order: Pick<Order, 'propose'> & {
    /** Milliseconds since an entry came last. */
    readonly silence: number;
  };
  /** Whether this node holds the lease. */
  readonly isHolder: () => boolean;
}

/**
 * The entries that say that time passes: a node that hears none is cut off. The holder of the lease proposes one every two
 * seconds. If none comes, since nobody holds the lease, the other nodes do it, more seldom.
 */
export class Ticks {
  readonly #options: TicksOptions;
  #timer: NodeJS.Timeout | undefined;
  /** Whether the last one has not come back yet. */
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

  /** Proposes an entry if it is time. */
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
    // Whether it failed is seen by what comes.
    await this.#options.order.propose(entryOf({ kind: 'tick' }));
    this.#isProposing = false;
  }
}

function newPatience(): number {
  return SILENT_MILLISECONDS + Math.random() * JITTER_MILLISECONDS;
}
