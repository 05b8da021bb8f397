import type { Logger } from 'pino';
import type { EntryStream } from '../log/order/entry-stream.ts';
import type { JetStreamOrder } from '../log/order/jetstream.ts';
import { ClockCheck } from './clock-check.ts';
import type { LeaseKey } from './lease-key.ts';
import { Lease } from './lease.ts';
import { Ticks } from './ticks.ts';

/** The options of leadership. */
export interface LeadershipOptions {
  readonly key: LeaseKey;
  readonly stream: Pick<EntryStream, 'extent'>;
  readonly order: JetStreamOrder;
  /** Returns why this node refuses publishes; `undefined` while it accepts them. */
  readonly refusing: () => string | undefined;
  /** The random id of this node, new at each start. */
  readonly id: string;
  /** Its name, for people. */
  readonly node: string;
  readonly logger: Logger;
  /** Returns milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/** The duties of one node of a cluster: the lease that says which node has them, the check of its clock, and ticks. */
export class Leadership {
  readonly lease: Lease;
  readonly clock: ClockCheck;
  readonly #ticks: Ticks;

  constructor({ key, stream, order, refusing, id, node, logger, now }: LeadershipOptions) {
    const clock = new ClockCheck({ stream, logger, now });
    this.clock = clock;
    this.lease = new Lease({
      key,
      id,
      node,
      logger,
      unfit: () =>
        refusing() ?? clock.fault ?? (clock.isRight ? undefined : 'its clock has not been compared yet'),
      // The previous holder has stopped by now, so everything that it wrote is before the end of the stream.
      begin: (signal) => order.caughtUpUntil(signal),
    });
    this.#ticks = new Ticks({ order, isHolder: () => this.lease.isHeld });
  }

  /** Starts trying to get the lease. */
  start(): void {
    this.clock.start();
    this.lease.start();
    this.#ticks.start();
  }

  /** Gives the lease back. Settles when another node can take it. */
  async stop(): Promise<void> {
    this.#ticks.stop();
    this.clock.stop();
    await this.lease.stop();
  }
}
