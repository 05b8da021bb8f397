import { entryOf } from '../entry.ts';
import { LogUnavailable } from '../message-log.ts';
import type { Order } from './order.ts';

/**
 * Settles when an entry that is placed after the call has come back and is applied: so all that had its place before is applied,
 * too. The stream cannot be asked instead. A server that led it, and is cut off from the others, says for some
 * seconds where it ended before; but nothing gets a place without most of the servers.
 *
 * @throws {LogUnavailable} if no entry gets a place
 */
export async function passBarrier(order: Pick<Order, 'propose'>): Promise<void> {
  const proposed = await order.propose(entryOf({ kind: 'tick' }));
  if (proposed instanceof LogUnavailable) throw proposed;
}
