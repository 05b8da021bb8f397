import type { Logger } from 'pino';
import type { FairScheduler } from '../fair-scheduler.ts';
import type { MessageLog } from '../log/message-log.ts';
import { RETRY_REFUSED, type RetrySpread } from '../wire/server-events.ts';
import type { Connections } from './connections.ts';

/** The interval between checks of the node. */
const LOOK_MILLISECONDS = 250;

/** Connections are ended over this time, so that the other nodes do not get all the clients at once. */
const SPREAD_MILLISECONDS = 10_000;

/** The longest wait that clients are told to observe while the node stays cut off. */
export const MAX_RETRY_MILLISECONDS = 60_000;

/** The times of an outage, in milliseconds. */
export interface OutageTimes {
  readonly look?: number;
  readonly spread?: number;
}

/**
 * The time in which this node is cut off from the others of its cluster. It may have missed messages, and revoked
 * grants, so it serves no clients: open connections are ended, some at each check. When the node is no longer cut off,
 * it serves clients again, and the remaining connections stay. A single machine is never cut off.
 */
export class Outage {
  readonly #log: Pick<MessageLog, 'cutOff'>;
  readonly #connections: Connections;
  readonly #scheduler: FairScheduler;
  readonly #logger: Logger;
  readonly #look: number;
  readonly #spread: number;
  /** The `performance.now()` at which the outage began; `undefined` if there is none. */
  #since: number | undefined;
  #stop: (() => void) | undefined;

  constructor(
    log: Pick<MessageLog, 'cutOff'>,
    connections: Connections,
    scheduler: FairScheduler,
    logger: Logger,
    { look = LOOK_MILLISECONDS, spread = SPREAD_MILLISECONDS }: OutageTimes = {},
  ) {
    this.#log = log;
    this.#connections = connections;
    this.#scheduler = scheduler;
    this.#logger = logger;
    this.#look = look;
    this.#spread = spread;
  }

  /** Starts checking. Needed only on a node of a cluster. */
  start(): void {
    this.#stop = this.#scheduler.every(this.#look, () => this.#endSome());
  }

  /** Stops checking. */
  stop(): void {
    this.#stop?.();
  }

  /** Why no clients are served now, in words fit for them; `undefined` if there is no outage. */
  get reason(): string | undefined {
    return this.#log.cutOff;
  }

  /**
   * The wait after which clients should come back. It grows with the outage, from 5–15 s at first to 20–60 s after a
   * minute and a half.
   */
  get retry(): RetrySpread {
    const lasted = this.#since === undefined ? 0 : performance.now() - this.#since;
    const growth = Math.min(1 + lasted / 30_000, MAX_RETRY_MILLISECONDS / RETRY_REFUSED.max);
    return { min: Math.round(RETRY_REFUSED.min * growth), max: Math.round(RETRY_REFUSED.max * growth) };
  }

  /** Ends the share of the open connections that is due. */
  *#endSome(): Generator {
    const why = this.reason;
    if (why === undefined) {
      if (this.#since !== undefined) this.#logger.info('this node serves clients again');
      this.#since = undefined;
      return;
    }
    const now = performance.now();
    if (this.#since === undefined) this.#logger.error({ why }, 'this node serves no clients');
    this.#since ??= now;
    const left = this.#since + this.#spread - now;
    const { open } = this.#connections;
    let due = Math.ceil(open.size * Math.min(1, this.#look / Math.max(left, this.#look)));
    for (const connection of open) {
      // The node may have recovered since the previous step.
      if (due-- === 0 || this.#log.cutOff === undefined) return;
      connection.disconnect(this.retry);
      yield;
    }
  }
}
