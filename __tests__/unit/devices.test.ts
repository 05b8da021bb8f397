import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { CryptoKey } from 'jose';
import type { Identity } from '../../src/auth/identity.ts';
import { TrustedKey } from '../../src/auth/trusted-key.ts';
import { type Device, Devices } from '../../src/hub/devices.ts';
import { HeldPoll } from '../../src/hub/held-poll.ts';
import { Hub } from '../../src/hub/hub.ts';
import { Presence } from '../../src/hub/presence.ts';
import { Turns } from '../../src/hub/turns.ts';

const START = 1_000_000;

describe('a device whose token ends', () => {
  let turns: Turns;
  let devices: Devices;
  beforeEach(() => {
    jest.useFakeTimers({ now: START });
    turns = new Turns();
    devices = new Devices(new Presence(turns, Date.now), { inAll: 10, perClient: 10 }, turns, Date.now);
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test.each([1, 249, 250, 251, 5000])(
    'is ended within a second of that, and not before: after %d ms',
    (left) => {
      const ends: number[] = [];
      const device = { inboxes: ['bob'], client: 'bob', expiresAt: START + left } as unknown as Device;
      device.expire = () => {
        ends.push(Date.now());
        devices.leave(device);
      };
      devices.join(device);
      jest.advanceTimersByTime(left + 1000);
      expect(ends).toHaveLength(1);
      expect(ends[0]).toBeGreaterThanOrEqual(START + left);
    },
  );

  test('by the removal of its key is ended within a second of that, and others stay', () => {
    const keys = [new TrustedKey({} as CryptoKey), new TrustedKey({} as CryptoKey)];
    const ended: unknown[] = [];
    for (const key of keys) {
      const device = { inboxes: ['bob'], client: 'bob', expiresAt: Infinity, key } as unknown as Device;
      device.expire = () => {
        ended.push(key);
        devices.leave(device);
      };
      devices.join(device);
    }
    jest.advanceTimersByTime(5000);
    expect(ended).toEqual([]);
    keys[1]?.revoke();
    jest.advanceTimersByTime(1000);
    expect(ended).toEqual([keys[1]]);
    expect(devices.open.size).toBe(1);
  });

  test('and is a held poll is answered within a second of that, and not before', async () => {
    const parts = { hub: new Hub(String, turns), turns, devices };
    const identity = { client: 'bob', expiresAt: START + 3000 } as unknown as Identity;
    let answered: number | undefined;
    const hold = HeldPoll.hold(parts, ['bob'], identity, 60_000, new AbortController().signal);
    void hold.then(() => (answered = Date.now()));
    await jest.advanceTimersByTimeAsync(2999);
    expect(answered).toBeUndefined();
    await jest.advanceTimersByTimeAsync(1001);
    expect(answered).toBeDefined();
    expect(devices.open.size).toBe(0);
  });
});
