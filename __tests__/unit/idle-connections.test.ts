import type { Socket } from 'node:net';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { IdleConnections } from '../../src/http/idle-connections.ts';

beforeEach(() => void jest.useFakeTimers({ now: 0 }));
afterEach(() => void jest.useRealTimers());

class FakeSocket {
  readonly remoteAddress: string;
  destroyed = false;
  constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress;
  }
  destroy(): void {
    this.destroyed = true;
  }
}

function opened(idle: IdleConnections, ...addresses: string[]): FakeSocket[] {
  return addresses.map((address) => {
    const socket = new FakeSocket(address);
    idle.add(socket as unknown as Socket);
    return socket;
  });
}

const closed = (sockets: readonly FakeSocket[]): boolean[] => sockets.map(({ destroyed }) => destroyed);

test('the oldest connection of the address with most idle ones is closed, and no other address loses one', () => {
  const idle = new IdleConnections();
  const honest = opened(idle, '192.0.2.1', '192.0.2.2', '192.0.2.2');
  const hostile = opened(idle, ...Array<string>(10).fill('198.51.100.1'));
  jest.advanceTimersByTime(1001);
  for (let count = 0; count < 8; count++) expect(idle.closeOldest()).toBe(true);
  expect(closed(honest)).toEqual([false, false, false]);
  expect(closed(hostile)).toEqual([...Array<boolean>(8).fill(true), false, false]);
  expect(idle.size).toBe(5);
});

test('the addresses of one IPv6 network count as one', () => {
  const idle = new IdleConnections();
  const honest = opened(idle, '2001:db8:1::1', '192.0.2.2');
  const hostile = opened(idle, '2001:db8::1', '2001:db8:0:0:5::2', '2001:db8:0:0:ffff:1:2:3');
  jest.advanceTimersByTime(1001);
  expect([idle.closeOldest(), idle.closeOldest()]).toEqual([true, true]);
  expect(closed(hostile)).toEqual([true, true, false]);
  expect(closed(honest)).toEqual([false, false]);
});

test('a connection that has just come is let alone, as is one that has a request', () => {
  const idle = new IdleConnections();
  const [first] = opened(idle, '192.0.2.1');
  jest.advanceTimersByTime(500);
  expect(idle.closeOldest()).toBe(false);
  idle.delete(first as unknown as Socket);
  opened(idle, '192.0.2.1');
  jest.advanceTimersByTime(900);
  expect(idle.closeOldest()).toBe(false);
  jest.advanceTimersByTime(200);
  expect(idle.closeOldest()).toBe(true);
  expect(idle.closeOldest()).toBe(false);
  expect(first?.destroyed).toBe(false);
  expect(idle.size).toBe(0);
});

test('exactly the idle connections are closed for which a condition holds', () => {
  const idle = new IdleConnections();
  const sockets = opened(idle, '192.0.2.1', '192.0.2.1', '198.51.100.1');
  idle.closeAll((socket) => socket !== (sockets[1] as unknown as Socket));
  expect(closed(sockets)).toEqual([true, false, true]);
  expect(idle.size).toBe(1);
});
