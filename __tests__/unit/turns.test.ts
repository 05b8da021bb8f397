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

/** A job of so many steps of a millisecond each. */
function* steps(count: number, onStep: () => void): Generator {
  for (let step = 0; step < count; step++) {
    const end = performance.now() + 1;
    while (performance.now() < end);
    onStep();
    yield;
  }
}

test('a job is begun at once, lets others be served in between, and settles with its last step', async () => {
  const turns = new Turns();
  let taken = 0;
  const done = turns.run(steps(50, () => taken++));
  expect(taken).toBeGreaterThan(0);
  expect(taken).toBeLessThan(50);
  let served = 0;
  const serve = (): void => {
    served++;
    if (taken < 50) setImmediate(serve);
  };
  setImmediate(serve);
  await done;
  expect(taken).toBe(50);
  expect(served).toBeGreaterThan(4);
});

test('jobs are done one after the other, also one that a step of another begins', async () => {
  const turns = new Turns();
  const order: string[] = [];
  const jobs: Promise<void>[] = [];
  const note = (name: string) => (): void => {
    order.push(name);
    if (name === 'first' && order.length === 1) jobs.push(turns.run(steps(2, note('from within'))));
  };
  jobs.push(turns.run(steps(20, note('first'))), turns.run(steps(2, note('second'))));
  await Promise.all(jobs);
  await Promise.all(jobs);
  expect(order.slice(0, 1)).toEqual(['first']);
  expect(order).toHaveLength(24);
  expect(order.filter((name) => name !== 'first')).toEqual([
    'from within',
    'from within',
    'second',
    'second',
  ]);
});

test('jobs and tasks alternate, so that neither keeps the other waiting', async () => {
  const turns = new Turns();
  const order: string[] = [];
  let isOver = false;
  const task = {
    turn: (): void => {
      Array.from(steps(6, () => undefined));
      order.push('task');
      if (!isOver) turns.add(task);
    },
  };
  turns.add(task);
  await turns.run(steps(60, () => order.push('job')));
  isOver = true;
  const tasks = order.filter((name) => name === 'task').length;
  expect(tasks).toBeGreaterThan(2);
  expect(tasks).toBeLessThanOrEqual(60);
});

test('a job that comes again and again is not begun while it is still being done, and can be ended', async () => {
  const turns = new Turns();
  let begun = 0;
  let underWay = 0;
  let most = 0;
  const end = turns.every(1, function* () {
    begun++;
    most = Math.max(most, ++underWay);
    yield* steps(12, () => undefined);
    underWay--;
  });
  while (begun < 3) await new Promise((resolve) => setImmediate(resolve));
  expect(most).toBe(1);
  end();
  while (underWay > 0) await new Promise((resolve) => setImmediate(resolve));
  const before = begun;
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(begun).toBe(before);
});
