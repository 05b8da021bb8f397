import { entryOf } from '../entry.ts';
import { LogUnavailable } from '../message-log.ts';
import type { Order } from './order.ts';

/**
 * Proposes an entry and waits until it has come back and is applied. Then every entry that had its place before the
 * call is applied too. Asking the stream for its end would not do: a former leader that is cut off from the other
 * servers reports an outdated end for some seconds. But without a majority of the servers no entry gets a place.
 *
 * @throws {LogUnavailable} if the entry gets no place
 */
export async function passBarrier(order: Pick<Order, 'propose'>): Promise<void> {
  const proposed = await order.propose(entryOf({ kind: 'tick' }));
  if (proposed instanceof LogUnavailable) throw proposed;
}
