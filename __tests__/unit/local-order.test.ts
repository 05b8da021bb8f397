import { expect, test } from '@jest/globals';
import { type Applied, entryOf, type OrderedEntry } from '../../src/log/entry.ts';
import { LogUnavailable } from '../../src/log/message-log.ts';
import { LocalOrder } from '../../src/log/order/local.ts';
import { prepareApply } from '../../src/log/replica/apply.ts';
import { draft } from '../support/log-file.ts';
import { memoryDatabase } from '../support/memory-log.ts';

test('an order whose first commit is on the disk, though it failed, goes on in the epoch that it began', async () => {
  const database = memoryDatabase();
  const apply = prepareApply(database);
  let acknowledges = false;
  const replica = {
    apply(entries: readonly OrderedEntry[]): Promise<Applied | LogUnavailable> {
      const outcomes = apply(entries);
      // As when the files are moved away in the instant of the commit, and back later.
      if (!acknowledges) return Promise.resolve(new LogUnavailable('moved', { mayBeStored: true }));
      return Promise.resolve({ outcomes, seconds: 0, syncSeconds: 0 });
    },
  };
  const order = new LocalOrder(replica, 'k3f9', () => 1000);
  const append = entryOf({ kind: 'append', batches: [[draft()]] });
  expect(await order.propose(append)).toBeInstanceOf(LogUnavailable);
  acknowledges = true;
  expect(await order.propose(append)).toMatchObject({ outcome: { results: [[2]] } });
  expect(await order.propose(append)).toMatchObject({ outcome: { results: [[3]] } });
  expect(database.prepare('SELECT firstId, epoch FROM epochs').all()).toEqual([
    { firstId: 1, epoch: 'k3f9' },
  ]);
});
