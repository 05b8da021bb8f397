import { expect, test } from '@jest/globals';
import { FairScheduler } from '../../src/fair-scheduler.ts';

test('between long tasks others are served, and each task has its turns in order', async () => {
  const scheduler = new FairScheduler();
  const order: number[] = [];
  const rounds = 3;
  const tasks = Array.from({ length: 100 }, (_, index) => {
    let left = rounds;
    const task = {
      turn: (): void => {
        const end = performance.now() + 1;
        while (performance.now() < end);
        order.push(index);
        if (--left > 0) scheduler.add(task);
      },
    };
    return task;
  });
  for (const task of tasks) scheduler.add(task);
  let served = 0;
  while (order.length < tasks.length * rounds) {
    await new Promise((resolve) => setImmediate(resolve));
    served++;
  }
  expect(served).toBeGreaterThan(tasks.length / 10);
  const once = tasks.map((_, index) => index);
  expect(order).toEqual([...once, ...once, ...once]);
});

test('a task that is added twice has one turn, and a task that is removed has none', async () => {
  const scheduler = new FairScheduler();
  const done: string[] = [];
  const kept = { turn: () => void done.push('kept') };
  const dropped = { turn: () => void done.push('dropped') };
  scheduler.add(kept);
  scheduler.add(dropped);
  scheduler.add(kept);
  scheduler.remove(dropped);
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

test('a job begins at once, lets others be served in between, and settles with its last step', async () => {
  const scheduler = new FairScheduler();
  let taken = 0;
  const done = scheduler.run(steps(50, () => taken++));
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

test('jobs run one after the other, also a job that a step of another begins', async () => {
  const scheduler = new FairScheduler();
  const order: string[] = [];
  const jobs: Promise<void>[] = [];
  const note = (name: string) => (): void => {
    order.push(name);
    if (name === 'first' && order.length === 1) jobs.push(scheduler.run(steps(2, note('from within'))));
  };
  jobs.push(scheduler.run(steps(20, note('first'))), scheduler.run(steps(2, note('second'))));
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

test('jobs and tasks alternate, so that neither delays the other for long', async () => {
  const scheduler = new FairScheduler();
  const order: string[] = [];
  let isOver = false;
  const task = {
    turn: (): void => {
      Array.from(steps(6, () => undefined));
      order.push('task');
      if (!isOver) scheduler.add(task);
    },
  };
  scheduler.add(task);
  await scheduler.run(steps(60, () => order.push('job')));
  isOver = true;
  const tasks = order.filter((name) => name === 'task').length;
  expect(tasks).toBeGreaterThan(2);
  expect(tasks).toBeLessThanOrEqual(60);
});

test('a job at intervals is not begun while it is still running, and can be stopped', async () => {
  const scheduler = new FairScheduler();
  let begun = 0;
  let underWay = 0;
  let most = 0;
  const end = scheduler.every(1, function* () {
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
