import { beforeEach, describe, expect, test } from '@jest/globals';
import { setImmediate as nextTick } from 'node:timers/promises';
import type { Entry } from '../../src/log/entry.ts';
import { LogUnavailable } from '../../src/log/message-log.ts';
import type { Order, Proposed } from '../../src/log/order/order.ts';
import { PushGroup } from '../../src/log/order/push-group.ts';
import type { PushChange } from '../../src/log/push-store.ts';
import { TIME } from '../support/log-file.ts';

/** An order whose answers a test gives. */
class FakeOrder implements Pick<Order, 'propose'> {
  readonly asked: Entry[] = [];
  readonly #waiting: ((answer: Proposed | LogUnavailable) => void)[] = [];

  propose(entry: Entry): Promise<Proposed | LogUnavailable> {
    this.asked.push(entry);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Answers the oldest entry that has no answer, and lets the group go on. */
  async answer(answer: Proposed | LogUnavailable): Promise<void> {
    this.#waiting.shift()?.(answer);
    await nextTick();
  }
}

describe('changes of subscriptions', () => {
  let order: FakeOrder;
  let group: PushGroup;
  beforeEach(() => {
    order = new FakeOrder();
    group = new PushGroup(order);
  });

  const entries = (count: number, id = 0): PushChange[] =>
    Array.from({ length: count }, () => ({ kind: 'through', id, through: 1 }));
  const sizes = (): number[] =>
    order.asked.map((entry) => (entry.kind === 'push' ? entry.changes.length : 0));
  /** The order answers the oldest entry that it has not answered: each change is the place of its own. */
  const answers = (count: number): Promise<void> => {
    const outcomes = Array.from({ length: count }, (_, index) => ({
      stored: undefined,
      refused: undefined,
      isNew: false,
      removed: [{ id: index, recipient: 'bob', endpoint: 'x' }],
    }));
    return order.answer({ outcome: { kind: 'push', outcomes }, time: TIME, seconds: 0, syncSeconds: 0 });
  };

  test('changes of subscriptions gather while others are made, and each call gets its own', async () => {
    const calls = [1, 1, 2, 1].map((count) => group.apply(entries(count)));
    expect(sizes()).toEqual([1]);
    await answers(1);
    expect(sizes()).toEqual([1, 4]);
    await answers(4);
    const changes = await Promise.all(calls);
    expect(changes.map((of) => of.map(({ removed }) => removed[0]?.id))).toEqual([[0], [0], [1, 2], [3]]);
  });

  test('changes of subscriptions share entries of at most 500, unless one call has more', async () => {
    for (const count of [1, 300, 200, 1, 600, 1]) void group.apply(entries(count));
    for (const count of [1, 500, 1, 600]) await answers(count);
    expect(sizes()).toEqual([1, 500, 1, 600, 1]);
  });

  test('a failed entry fails each call in it, and the next changes are made', async () => {
    const first = group.apply(entries(1));
    const gathered = [group.apply(entries(1)), group.apply(entries(1))];
    const refused = gathered.map((call) => expect(call).rejects.toThrow('the disk of the log is full'));
    await answers(1);
    await first;
    await order.answer(new LogUnavailable('the disk of the log is full'));
    await Promise.all(refused);
    const next = group.apply(entries(1));
    await answers(1);
    await expect(next).resolves.toHaveLength(1);
  });

  test('a call fails if the order fails, or returns another outcome', async () => {
    const other = expect(group.apply(entries(1))).rejects.toThrow('the outcome of a tick');
    await order.answer({ outcome: { kind: 'tick' }, time: TIME, seconds: 0, syncSeconds: 0 });
    await other;
    order.propose = () => Promise.reject(new Error('the order failed'));
    await expect(group.apply(entries(1))).rejects.toThrow('the order failed');
  });
});
