import type { Logger } from 'pino';
import type { FairScheduler } from '../fair-scheduler.ts';
import type { MessageLog } from '../log/message-log.ts';
import { RETRY_REFUSED, type RetrySpread } from '../wire/server-events.ts';
import type { Connections } from './connections.ts';

/** How often the node is looked at. */
const LOOK_MILLISECONDS = 250;

/** Connections are ended over this time, so that the other nodes do not get all their clients at once. */
const SPREAD_MILLISECONDS = 10_000;

/** The longest wait that clients are told while the node stays cut off. */
export const MAX_RETRY_MILLISECONDS = 60_000;

/** The times of an outage, in milliseconds. */
export interface OutageTimes {
  readonly look?: number;
  readonly spread?: number;
}

/**
 * The time in which this node is cut off from the others of its cluster. It may have missed messages, and grants that are
 * gone, so it serves no client: open connections are ended, a part at each look. When it is no longer cut off, it serves
 * again, and the connections that are left stay. One machine alone is never cut off.
 */
export class Outage {
  readonly #log: Pick<MessageLog, 'cutOff'>;
  readonly #connections: Connections;
  readonly #scheduler: FairScheduler;
  readonly #logger: Logger;
  readonly #look: number;
  readonly #spread: number;
  /** When it began, on the clock of `performance.now()`; `undefined` if there is none. */
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

  /** Begins to look. Only a node of a cluster needs that. */
  start(): void {
    this.#stop = this.#scheduler.every(this.#look, () => this.#endSome());
  }

  /** Stops looking. */
  stop(): void {
    this.#stop?.();
  }

  /** Why no client is served now, in words fit for it; `undefined` if there is no outage. */
  get reason(): string | undefined {
    return this.#log.cutOff;
  }

  /** When clients come back: the longer it lasts, the later, from 5–15 s at first to 20–60 s after a minute and a half. */
  get retry(): RetrySpread {
    const lasted = this.#since === undefined ? 0 : performance.now() - this.#since;
    const growth = Math.min(1 + lasted / 30_000, MAX_RETRY_MILLISECONDS / RETRY_REFUSED.max);
    return { min: Math.round(RETRY_REFUSED.min * growth), max: Math.round(RETRY_REFUSED.max * growth) };
  }

  /** Ends as many of the open connections as are due. */
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
      // It may serve again since the step before.
      if (due-- === 0 || this.#log.cutOff === undefined) return;
      connection.disconnect(this.retry);
      yield;
    }
  }
}
