import { explain } from '../files/explain.ts';
import { newEpoch } from './cursor.ts';
import { entryOf } from './entry.ts';
import { LocalOrder } from './order/local.ts';
import type { Order } from './order/order.ts';
import { leaveCluster } from './replica/leave-cluster.ts';
import { Replica, type ReplicaOptions } from './replica/replica.ts';
import { ReplicatedLog } from './replicated-log.ts';

/**
 * Opens the log of a single machine: it has the only replica, and this process decides the order.
 *
 * @throws {StartError} with a line for the person who starts the service; nothing stays open
 */
export async function openLocalLog(
  options: Omit<ReplicaOptions, 'prepare' | 'isLocal'>,
): Promise<ReplicatedLog> {
  const { file, now } = options;
  const epoch = newEpoch();
  const replica = await Replica.open({
    ...options,
    isLocal: true,
    prepare: (database) => leaveCluster(database, epoch),
  });
  try {
    return explain(file, () => {
      const order = new LocalOrder(replica, epoch, now);
      const log = new ReplicatedLog({ replica, order, nextEpoch: epoch, now });
      noteSettings(replica, order, options);
      return log;
    });
  } catch (error) {
    await replica.close();
    throw error;
  }
}

/** Stores the settings if they have changed. If the log cannot be written now, the next start stores them. */
function noteSettings(
  replica: Replica,
  order: Order,
  { retention, logger }: Pick<ReplicaOptions, 'retention' | 'logger'>,
): void {
  const before = replica.store.retention();
  if (before?.days === retention.days && before.messages === retention.messages) return;
  if (before !== undefined) logger.info({ before, now: retention }, 'retention was changed');
  void order.propose(entryOf({ kind: 'settings', retention }));
}
