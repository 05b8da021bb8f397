import { entryOf } from '../entry.ts';
import { LogUnavailable } from '../message-log.ts';
import type { PushOutcome, PushChange } from '../push-store.ts';
import type { Order } from './order.ts';

/** The maximum number of changes in one entry, unless one call has more. */
const MAX_CHANGES = 500;

/** Changes that wait for their entry, with their caller. */
interface Waiting {
  readonly changes: readonly PushChange[];
  readonly settle: (outcome: readonly PushOutcome[] | Error) => void;
}

/**
 * Queues changes of subscriptions. Proposes one entry of them at a time, so that an append waits for at most one
 * transaction of this kind.
 */
export class PushGroup {
  readonly #order: Pick<Order, 'propose'>;
  #waiting: Waiting[] = [];
  #isProposing = false;

  constructor(order: Pick<Order, 'propose'>) {
    this.#order = order;
  }

  /**
   * Applies changes in one transaction, which changes of other calls may share.
   *
   * @returns the outcome of each change, once it is on disk
   * @throws {LogUnavailable} if nothing was changed, or it is unknown whether something was
   */
  async apply(changes: readonly PushChange[]): Promise<readonly PushOutcome[]> {
    const outcome = await new Promise<readonly PushOutcome[] | Error>((settle) => {
      this.#waiting.push({ changes, settle });
      if (!this.#isProposing) void this.#proposeWaiting();
    });
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }

  async #proposeWaiting(): Promise<void> {
    this.#isProposing = true;
    while (this.#waiting.length > 0) {
      let count = 0;
      const end = this.#waiting.findIndex(({ changes }) => (count += changes.length) > MAX_CHANGES);
      const group = this.#waiting.splice(0, end === -1 ? this.#waiting.length : Math.max(end, 1));
      const changes = group.flatMap((waiting) => waiting.changes);
      this.#settle(group, await this.#propose(changes));
    }
    this.#isProposing = false;
  }

  async #propose(changes: readonly PushChange[]): Promise<readonly PushOutcome[] | Error> {
    try {
      const proposed = await this.#order.propose(entryOf({ kind: 'push', changes }));
      if (proposed instanceof LogUnavailable) return proposed;
      const { outcome } = proposed;
      if (outcome.kind === 'push') return outcome.outcomes;
      return new Error(`changes of subscriptions have the outcome of a ${outcome.kind}`);
    } catch (error) {
      return error as Error;
    }
  }

  #settle(group: readonly Waiting[], outcome: readonly PushOutcome[] | Error): void {
    let from = 0;
    for (const { changes, settle } of group) {
      settle(outcome instanceof Error ? outcome : outcome.slice(from, from + changes.length));
      from += changes.length;
    }
  }
}
