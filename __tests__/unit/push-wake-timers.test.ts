import { expect, test } from '@jest/globals';
import { WakeTimers } from '../../src/push/wake-timers.ts';
import { until } from '../support/until.ts';

const HOUR = 3_600_000;

test('a key that is given several times is woken once, at the earliest of them', async () => {
  const fired: string[] = [];
  const timers = new WakeTimers((key) => fired.push(key));
  timers.set('earlier after', 50);
  timers.set('earlier after', 0);
  timers.set('earlier before', 0);
  timers.set('earlier before', HOUR);
  timers.set('another', HOUR);
  // After the time of any other that would fire.
  timers.set('last', 200);
  await until(() => fired.includes('last'), 'the last');
  expect(fired.sort()).toEqual(['earlier after', 'earlier before', 'last']);
  // A timer that has fired can be set again.
  timers.set('last', 0);
  await until(() => fired.filter((key) => key === 'last').length === 2, 'it again');
});
