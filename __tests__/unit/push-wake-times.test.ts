import { expect, test } from '@jest/globals';
import { WakeTimes } from '../../src/push/wake-times.ts';
import { until } from '../support/until.ts';

const HOUR = 3_600_000;

test('of several times for one key the earliest counts, and it comes once', async () => {
  const come: string[] = [];
  const times = new WakeTimes((key) => come.push(key));
  times.plan('earlier after', 50);
  times.plan('earlier after', 0);
  times.plan('earlier before', 0);
  times.plan('earlier before', HOUR);
  times.plan('another', HOUR);
  // After all that is not to come.
  times.plan('last', 200);
  await until(() => come.includes('last'), 'the last');
  expect(come.sort()).toEqual(['earlier after', 'earlier before', 'last']);
  // What has come can be planned anew.
  times.plan('last', 0);
  await until(() => come.filter((key) => key === 'last').length === 2, 'it again');
});
