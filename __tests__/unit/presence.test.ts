import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Presence } from '../../src/hub/presence.ts';

describe('presence', () => {
  let presence: Presence;
  let changes: string[];
  beforeEach(() => {
    jest.useFakeTimers({ now: 1_000_000 });
    presence = new Presence(Date.now);
    changes = [];
    presence.watch(['bob'], (address) =>
      changes.push(`${address} ${presence.state(address).online ? 'online' : 'offline'}`),
    );
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('who was not seen since the start has no last time', () => {
    expect(presence.state('bob')).toEqual({ online: false, devices: 0, lastSeen: null });
  });

  test('a second device changes the count, not the state', () => {
    presence.join(['bob']);
    presence.join(['bob', 'room']);
    expect(presence.state('bob')).toEqual({ online: true, devices: 2, lastSeen: 1_000_000 });
    presence.leave(['bob']);
    jest.advanceTimersByTime(60_000);
    expect(presence.state('bob').devices).toBe(1);
    expect(changes).toEqual(['bob online']);
  });

  test('a device that is back within 6 s changes nothing', () => {
    presence.join(['bob']);
    presence.leave(['bob']);
    jest.advanceTimersByTime(5999);
    expect(presence.state('bob')).toEqual({ online: true, devices: 0, lastSeen: 1_000_000 });
    presence.join(['bob']);
    jest.advanceTimersByTime(60_000);
    expect(changes).toEqual(['bob online']);
  });

  test('after 6 s it is offline, last seen when it left', () => {
    presence.join(['bob']);
    jest.advanceTimersByTime(500);
    presence.leave(['bob']);
    jest.advanceTimersByTime(6000);
    expect(presence.state('bob')).toEqual({ online: false, devices: 0, lastSeen: 1_000_500 });
    expect(changes).toEqual(['bob online', 'bob offline']);
    presence.join(['bob']);
    expect(changes).toEqual(['bob online', 'bob offline', 'bob online']);
  });

  test('a watcher that ended hears nothing', () => {
    const heard: string[] = [];
    const unwatch = presence.watch(['bob'], (address) => heard.push(address));
    unwatch();
    presence.join(['bob']);
    expect(heard).toEqual([]);
  });

  test('one who was never there leaves without a trace', () => {
    presence.leave(['bob']);
    expect(presence.state('bob')).toEqual({ online: false, devices: 0, lastSeen: null });
  });
});
