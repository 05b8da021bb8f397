import { expect, test } from '@jest/globals';
import { Turns } from '../../src/hub/turns.ts';

test('many that have long work let others be served between them, and each has its turns in order', async () => {
  const turns = new Turns();
  const order: number[] = [];
  const rounds = 3;
  const tasks = Array.from({ length: 100 }, (_, index) => {
    let left = rounds;
    const task = {
      turn: (): void => {
        const end = performance.now() + 1;
        while (performance.now() < end);
        order.push(index);
        if (--left > 0) turns.add(task);
      },
    };
    return task;
  });
  for (const task of tasks) turns.add(task);
  let served = 0;
  while (order.length < tasks.length * rounds) {
    await new Promise((resolve) => setImmediate(resolve));
    served++;
  }
  expect(served).toBeGreaterThan(tasks.length / 10);
  const once = tasks.map((_, index) => index);
  expect(order).toEqual([...once, ...once, ...once]);
});

test('a task that is added twice has one turn, and one that is taken out has none', async () => {
  const turns = new Turns();
  const done: string[] = [];
  const kept = { turn: () => void done.push('kept') };
  const dropped = { turn: () => void done.push('dropped') };
  turns.add(kept);
  turns.add(dropped);
  turns.add(kept);
  turns.remove(dropped);
  await new Promise((resolve) => setImmediate(resolve));
  expect(done).toEqual(['kept']);
});
