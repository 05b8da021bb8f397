import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { CryptoKey } from 'jose';
import type { Identity } from '../../src/auth/identity.ts';
import { TrustedKey } from '../../src/auth/trusted-key.ts';
import { type OpenConnection, Connections } from '../../src/hub/connections.ts';
import { HeldPoll } from '../../src/hub/held-poll.ts';
import { Hub } from '../../src/hub/hub.ts';
import { Presence } from '../../src/hub/presence.ts';
import { FairScheduler } from '../../src/fair-scheduler.ts';
import { message } from '../support/log-file.ts';

const START = 1_000_000;

describe('a connection whose token ends', () => {
  let scheduler: FairScheduler;
  let connections: Connections;
  beforeEach(() => {
    jest.useFakeTimers({ now: START });
    scheduler = new FairScheduler();
    connections = new Connections(
      new Presence(scheduler, Date.now),
      { total: 10, perClient: 10 },
      scheduler,
      Date.now,
    );
    connections.start();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test.each([1, 249, 250, 251, 5000])(
    'a connection is ended within a second of its token, and not before: after %d ms',
    (left) => {
      const ends: number[] = [];
      const connection = {
        inboxes: ['bob'],
        client: 'bob',
        expiresAt: START + left,
      } as unknown as OpenConnection;
      connection.expire = () => {
        ends.push(Date.now());
        connections.leave(connection);
      };
      connections.join(connection);
      jest.advanceTimersByTime(left + 1000);
      expect(ends).toHaveLength(1);
      expect(ends[0]).toBeGreaterThanOrEqual(START + left);
    },
  );

  test('a connection whose key is removed is ended within a second, and others stay', () => {
    const keys = [new TrustedKey({} as CryptoKey), new TrustedKey({} as CryptoKey)];
    const ended: unknown[] = [];
    for (const key of keys) {
      const connection = {
        inboxes: ['bob'],
        client: 'bob',
        expiresAt: Infinity,
        key,
      } as unknown as OpenConnection;
      connection.expire = () => {
        ended.push(key);
        connections.leave(connection);
      };
      connections.join(connection);
    }
    jest.advanceTimersByTime(5000);
    expect(ended).toEqual([]);
    keys[1]?.revoke();
    jest.advanceTimersByTime(1000);
    expect(ended).toEqual([keys[1]]);
    expect(connections.open.size).toBe(1);
  });

  test('a held poll is answered within a second of the end of its token, and not before', async () => {
    const parts = { hub: new Hub(String, scheduler), scheduler, connections };
    const identity = { client: 'bob', expiresAt: START + 3000 } as unknown as Identity;
    let answered: number | undefined;
    const hold = HeldPoll.hold(parts, ['bob'], 0, identity, 60_000, new AbortController().signal);
    void hold.then(() => (answered = Date.now()));
    await jest.advanceTimersByTimeAsync(2999);
    expect(answered).toBeUndefined();
    await jest.advanceTimersByTimeAsync(1001);
    expect(answered).toBeDefined();
    expect(connections.open.size).toBe(0);
  });

  test('a held poll is not answered for a commit that was read before it began', async () => {
    const parts = { hub: new Hub(String, scheduler), scheduler, connections };
    const identity = { client: 'bob', expiresAt: undefined } as unknown as Identity;
    let answered = false;
    const hold = HeldPoll.hold(parts, ['bob'], 7, identity, 60_000, new AbortController().signal);
    void hold.then(() => (answered = true));
    await parts.hub.dispatch([message(7)]);
    await jest.advanceTimersByTimeAsync(100);
    expect(answered).toBe(false);
    await parts.hub.dispatch([message(8)]);
    await jest.advanceTimersByTimeAsync(100);
    expect(answered).toBe(true);
  });
});
