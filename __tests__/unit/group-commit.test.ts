import { expect, test } from '@jest/globals';
import { setImmediate as nextTick } from 'node:timers/promises';
import type { AppendOutcome, Entry } from '../../src/log/entry.ts';
import { LogUnavailable, type Stored } from '../../src/log/message-log.ts';
import { type Commit, GroupCommit, type Settled } from '../../src/log/order/group-commit.ts';
import type { Order, Proposed } from '../../src/log/order/order.ts';
import { withId } from '../../src/message.ts';
import { draft, TIME } from '../support/log-file.ts';

/** An order in which each draft gets the next id. */
class FakeOrder implements Pick<Order, 'propose'> {
  fails = false;
  #head = 0;

  propose(entry: Entry): Promise<Proposed | LogUnavailable> {
    if (this.fails) return Promise.resolve(new LogUnavailable('the disk of the log is full'));
    const batches = entry.kind === 'append' ? entry.batches : [];
    const results = batches.map((batch) => batch.map((): AppendOutcome => ++this.#head));
    const outcome = { kind: 'append', results, createdAt: TIME } as const;
    return Promise.resolve({ outcome, time: TIME, seconds: 0, syncSeconds: 0 });
  }
}

/** The messages of a commit, of each batch. */
const storedOf = ({ batches, outcome, time }: Commit): Stored[][] =>
  batches.map((batch, index) =>
    batch.map((one, place) => {
      const ids = outcome.results[index] as readonly number[];
      const message = withId(ids[place] ?? 0, { time, createdAt: outcome.createdAt }, one);
      return { message, isNew: true };
    }),
  );

test('publishers are answered when their commit is being handed on, and the next is handed on when that is done', async () => {
  const handedOn: number[][] = [];
  const ends: (() => void)[] = [];
  const group = new GroupCommit(new FakeOrder(), (commit): Settled => {
    const answers = storedOf(commit);
    handedOn.push(answers.flat().map(({ message }) => message.id));
    return { answers, handedOn: new Promise<void>((resolve) => ends.push(resolve)) };
  });

  const [first] = await group.append([draft()]);
  expect(first?.message.id).toBe(1);
  let answered = 0;
  const others = [draft(), draft()].map((one) => group.append([one]).then(() => answered++));
  let isIdle = false;
  const idle = group.idle().then(() => (isIdle = true));
  await nextTick();
  expect([handedOn, answered]).toEqual([[[1]], 0]);
  while (handedOn.flat().length < 3 || answered < 2) {
    ends.shift()?.();
    await nextTick();
  }
  await Promise.all(others);
  expect(handedOn.flat()).toEqual([1, 2, 3]);
  await nextTick();
  expect(isIdle).toBe(false);
  for (const end of ends) end();
  await idle;
  expect(isIdle).toBe(true);
});

test('a commit that fails is counted once, its publishers are all refused, and the next one is tried', async () => {
  const order = new FakeOrder();
  order.fails = true;
  let settled = 0;
  const group = new GroupCommit(order, (commit) => {
    settled++;
    return { answers: storedOf(commit), handedOn: undefined };
  });
  const refused = [group.append([draft()]), group.append([draft(), draft()])];
  for (const publish of refused) await expect(publish).rejects.toThrow('the disk of the log is full');
  // The first goes alone, the second gathers meanwhile.
  expect([group.failures, settled]).toEqual([2, 0]);
  order.fails = false;
  await group.append([draft()]);
  expect([group.failures, settled]).toEqual([2, 1]);
});

test('publishers are told when the order fails or comes to something else, and the next group is stored', async () => {
  const order = new FakeOrder();
  const group = new GroupCommit(order, (commit) => ({ answers: storedOf(commit), handedOn: undefined }));
  const propose = order.propose.bind(order);
  order.propose = () => Promise.reject(new Error('the order failed'));
  await expect(group.append([draft()])).rejects.toThrow('the order failed');
  order.propose = () =>
    Promise.resolve({ outcome: { kind: 'tick' }, time: TIME, seconds: 0, syncSeconds: 0 });
  await expect(group.append([draft()])).rejects.toThrow('the outcome of a tick');
  order.propose = propose;
  expect(await group.append([draft()])).toHaveLength(1);
  expect(group.failures).toBe(2);
});
