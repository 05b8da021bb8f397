import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { ClockCheck } from '../../src/cluster/clock-check.ts';
import { Ticks } from '../../src/cluster/ticks.ts';
import type { StreamExtent } from '../../src/log/order/entry-stream.ts';
import type { Proposed } from '../../src/log/order/order.ts';

const START = 1_800_000_000_000;

/** A machine's clock, and a stream that answers after some time. */
class World {
  time = START;
  ahead = 0;
  answer: 'time' | 'no time' | 'none' = 'time';
  lag = 0;
  readonly check = new ClockCheck({
    stream: { extent: () => this.#extent() },
    logger: pino({ level: 'silent' }),
    now: () => this.time + this.ahead,
  });

  #extent(): Promise<StreamExtent> {
    if (this.answer === 'none') return Promise.reject(new Error('timeout'));
    const now = this.answer === 'time' ? this.time : undefined;
    this.time += this.lag;
    return Promise.resolve({ logId: 'log', generation: 1, first: 1, last: 0, now });
  }
}

test.each([
  ['agrees', 0, true],
  ['is 5 s ahead', 5000, true],
  ['is more than 5 s ahead', 5001, false],
  ['is 5 s behind', -5000, true],
  ['is more than 5 s behind', -5001, false],
])('a clock that %s (%d ms) is right: %s', async (_what, ahead, isRight) => {
  const world = new World();
  world.ahead = ahead;
  await world.check.check();
  expect(world.check.isRight).toBe(isRight);
  expect(world.check.fault === undefined).toBe(isRight);
  world.ahead = 0;
  await world.check.check();
  expect([world.check.isRight, world.check.fault]).toEqual([true, undefined]);
});

test('an answer that takes long does not make a clock wrong', async () => {
  const world = new World();
  world.lag = 60_000;
  await world.check.check();
  expect(world.check.isRight).toBe(true);
});

test('a clock is not right before it was compared, and stays as judged if nothing answers', async () => {
  const world = new World();
  world.answer = 'none';
  await world.check.check();
  expect([world.check.isRight, world.check.fault]).toEqual([false, undefined]);
  world.answer = 'time';
  world.ahead = 60_000;
  await world.check.check();
  world.answer = 'none';
  world.ahead = 0;
  await world.check.check();
  expect(world.check.isRight).toBe(false);
});

test('the holder of the lease says that time passes, and other nodes only after a silence, one at a time', async () => {
  let isHolder = true;
  let silence = 0;
  let settle: () => void = () => undefined;
  const proposed: unknown[] = [];
  const order = {
    get silence() {
      return silence;
    },
    propose: (entry: unknown) => {
      proposed.push(entry);
      return new Promise<Proposed>((resolve) => (settle = () => resolve({} as Proposed)));
    },
  };
  const ticks = new Ticks({ order, isHolder: () => isHolder });
  ticks.look();
  ticks.look();
  expect(proposed).toEqual([{ v: 1, kind: 'tick' }]);
  settle();
  await new Promise((resolve) => setImmediate(resolve));
  // Two seconds have not passed.
  ticks.look();
  isHolder = false;
  silence = 5999;
  ticks.look();
  expect(proposed).toHaveLength(1);
  silence = 10_000;
  ticks.look();
  ticks.look();
  expect(proposed).toHaveLength(2);
});
