import { type Entry, entryOf, type OrderedEntry, type Outcome } from '../entry.ts';
import { LogUnavailable } from '../message-log.ts';
import type { EntryApplier, Order, Proposed } from './order.ts';

/**
 * The order of a log on a single machine: entries are applied as they are proposed, with the time of this process's
 * clock. The first id that it assigns begins an epoch, so that cursors from another history of the log are detected.
 */
export class LocalOrder implements Order {
  readonly refusing = undefined;
  /** Always `undefined`: the caller of `propose` delivers the messages itself. */
  readonly handedOn = undefined;
  readonly cutOff = undefined;
  readonly unready = undefined;
  readonly #replica: EntryApplier;
  readonly #now: () => number;
  readonly #epoch: OrderedEntry['entry'];
  #hasEpoch = false;

  /**
   * @param epoch the epoch of the ids that this order assigns
   * @param now returns milliseconds since the Unix epoch
   */
  constructor(replica: EntryApplier, epoch: string, now: () => number) {
    this.#replica = replica;
    this.#epoch = entryOf({ kind: 'epoch', epoch });
    this.#now = now;
  }

  caughtUp(): undefined {
    return undefined;
  }

  seal(): void {
    // Nothing to do: the disk settles proposals soon enough.
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  propose(entry: Entry): Promise<Proposed | LogUnavailable> {
    const time = this.#now();
    const beginsEpoch = entry.kind === 'append' && !this.#hasEpoch;
    const entries = beginsEpoch
      ? [
          { entry: this.#epoch, time },
          { entry, time },
        ]
      : [{ entry, time }];
    return this.#replica.apply(entries).then((applied) => {
      if (applied instanceof LogUnavailable) return applied;
      const { outcomes, seconds, syncSeconds } = applied;
      if (beginsEpoch) this.#hasEpoch = outcomes[0]?.kind === 'epoch';
      return { outcome: outcomes.at(-1) as Outcome, time, seconds, syncSeconds };
    });
  }
}
