import { expect, test } from '@jest/globals';
import type { Identity } from '../../src/auth/identity.ts';
import { PublishRate } from '../../src/publish/publish-rate.ts';
import { Recent } from '../../src/recent.ts';

test('a map of recent keys keeps the last that were set, and never more than twice as many', () => {
  const kept = 1000;
  const recent = new Recent<string, number>(kept);
  let most = 0;
  for (let index = 0; index < 1_000_000; index++) {
    recent.set(`name-${index}`, index);
    most = Math.max(most, recent.size);
  }
  expect(most).toBeLessThanOrEqual(2 * kept);
  for (let index = 1_000_000 - kept; index < 1_000_000; index++) {
    expect(recent.get(`name-${index}`)).toBe(index);
  }
  expect(recent.get('name-0')).toBeUndefined();
});

test('a key of a map of recent keys is recent again if it is set again, and gone if it is deleted', () => {
  const recent = new Recent<string, string>(3);
  recent.set('kept', 'old');
  for (let index = 0; index < 100; index++) {
    recent.set(`name-${index}`, '');
    recent.set('kept', `new ${index}`);
    expect(recent.get('kept')).toBe(`new ${index}`);
    expect(recent.size).toBeLessThanOrEqual(6);
  }
  recent.delete('kept');
  expect(recent.get('kept')).toBeUndefined();
});

test('a client over its rate stays over it while a million others publish', () => {
  const rate = new PublishRate(1);
  const identity = (client: string) => ({ client, rate: undefined }) as unknown as Identity;
  rate.take(identity('eve'), 1_000_000);
  for (let index = 0; index < 1_000_000; index++) {
    rate.take(identity(`client-${index}`), 1);
    // Refused: nothing is taken, so her bucket is not a recent one.
    if (index === 40_000) expect(() => rate.admit(identity('eve'))).toThrow('More than 1 messages a second');
  }
  rate.take(identity('client-999999'), 1_000_000);
  expect(() => rate.admit(identity('client-999999'))).toThrow('More than 1 messages a second');
});
