/** The bounds of what a node keeps of the presence that others tell. */
import { afterEach, expect, jest, test } from '@jest/globals';
import { Bus } from '../../src/cluster/bus.ts';
import type { BusMessage, Devices } from '../../src/cluster/bus-message.ts';
import { MAX_OF_ALL, RemoteDevices } from '../../src/cluster/remote-devices.ts';
import { SharedPresence } from '../../src/cluster/shared-presence.ts';
import { MemoryBus } from '../support/memory-bus.ts';

const MESSAGE = 4096;

afterEach(() => {
  jest.useRealTimers();
});

const devicesFrom = (first: number, count = MESSAGE): Devices[] =>
  Array.from({ length: count }, (_, index) => [`a${first + index}`, 1]);

/** A presence whose work waits until it is done step by step. */
class SlowPresence {
  readonly bus: Bus;
  readonly presence: SharedPresence;
  readonly asked: string[] = [];
  /** How many addresses were changed at once. */
  readonly parts: number[] = [];
  readonly devices = new Map<string, number>();
  readonly #jobs: Iterator<unknown>[] = [];

  constructor() {
    const line = new MemoryBus().line();
    line.publish = (bytes) => {
      const message = JSON.parse(Buffer.from(bytes).toString()) as BusMessage;
      if (message.kind === 'ask') this.asked.push(message.of);
    };
    this.bus = new Bus(line, 'here', { logId: 'log', generation: 1 });
    this.presence = new SharedPresence(this.bus);
    this.presence.start({
      bus: this.bus,
      scheduler: {
        run: (job) => {
          this.#jobs.push(job[Symbol.iterator]());
          return Promise.resolve();
        },
      },
      presence: { changeElsewhere: (changes) => this.#change([...changes]) },
    });
  }

  /** Does a step. @returns whether there was one to do */
  step(): boolean {
    while (this.#jobs[0] !== undefined) {
      if (this.#jobs[0].next().done !== true) return true;
      this.#jobs.shift();
    }
    return false;
  }

  finish(): void {
    while (this.step());
  }

  #change(changes: readonly Devices[]): void {
    this.parts.push(changes.length);
    for (const [address, change] of changes) {
      this.devices.set(address, (this.devices.get(address) ?? 0) + change);
    }
  }
}

test('the addresses of a node are taken in steps of 100', () => {
  const slow = new SlowPresence();
  slow.presence.beat('other', 0);
  slow.presence.told('other', {
    kind: 'presence',
    number: 1,
    devices: devicesFrom(0),
    begins: true,
    ends: true,
  });
  slow.step();
  expect([slow.parts, slow.devices.size]).toEqual([[100], 100]);
  slow.finish();
  expect([Math.max(...slow.parts), slow.devices.size]).toEqual([100, MESSAGE]);
});

test('a node that ends or tells all of its devices again while it is being taken in leaves no device too many', () => {
  const slow = new SlowPresence();
  const counted = (): number[] => [0, 50, 99, 150].map((index) => slow.devices.get(`a${index}`) ?? 0);
  slow.presence.beat('other', 0);
  const all = { kind: 'presence', begins: true, ends: true } as const;
  slow.presence.told('other', { ...all, number: 1, devices: devicesFrom(0, 1000) });
  slow.step();
  slow.presence.told('other', { ...all, number: 2, devices: devicesFrom(50, 100) });
  slow.finish();
  expect(counted()).toEqual([0, 1, 1, 0]);
  slow.presence.told('other', { ...all, number: 3, devices: devicesFrom(0, 1000) });
  slow.step();
  slow.presence.gone('other');
  slow.finish();
  expect([...slow.devices.values()].filter((count) => count !== 0)).toEqual([]);
});

test('more messages than can wait count as lost, and the node is asked for all again', () => {
  jest.useFakeTimers();
  const slow = new SlowPresence();
  slow.presence.beat('other', 0);
  const devices = devicesFrom(0);
  const fit = Math.floor(MAX_OF_ALL / MESSAGE);
  for (let number = 1; number <= fit; number++) {
    slow.presence.told('other', { kind: 'presence', number, devices, begins: number === 1, ends: true });
  }
  expect(slow.bus.counts.ignored).toBe(0);
  slow.presence.told('other', { kind: 'presence', number: fit + 1, devices });
  expect(slow.bus.counts.ignored).toBe(1);
  slow.finish();
  jest.advanceTimersByTime(2000);
  slow.presence.beat('other', fit + 1);
  expect(slow.asked).toEqual(['other', 'other']);
  slow.presence.told('other', { kind: 'presence', number: fit + 2, devices: devicesFrom(MESSAGE) });
  slow.finish();
  expect([slow.bus.counts.ignored, slow.devices.size]).toEqual([1, 2 * MESSAGE]);
});

test('addresses of a node beyond 100,000 are ignored and counted until others have gone', () => {
  const slow = new SlowPresence();
  slow.presence.beat('other', 0);
  for (let number = 1; number <= 25; number++) {
    slow.presence.told('other', { kind: 'presence', number, devices: devicesFrom(number * MESSAGE) });
  }
  slow.finish();
  expect([slow.devices.size, slow.bus.counts.ignored]).toEqual([100_000, 1]);
  const last = { kind: 'presence', number: 26, devices: [['new', 1]] } as const;
  slow.presence.told('other', last);
  slow.finish();
  expect([slow.devices.has('new'), slow.bus.counts.ignored]).toEqual([false, 2]);
  slow.presence.told('other', {
    ...last,
    number: 27,
    devices: [
      [`a${MESSAGE}`, 0],
      ['new', 2],
    ],
  });
  slow.finish();
  expect(slow.devices.get('new')).toBe(2);
});

test('addresses of all nodes beyond 500,000 are ignored until some have gone', () => {
  const room = { taken: MAX_OF_ALL - 2 };
  const [one, other] = [new RemoteDevices(room), new RemoteDevices(room)];
  expect([one.set('a', 1), other.set('a', 2), other.set('b', 1)]).toEqual([1, 2, undefined]);
  expect([other.set('a', 3), other.set('b', 0)]).toEqual([1, 0]);
  one.begin();
  expect([...one.end()]).toEqual([['a', -1]]);
  expect([other.set('b', 1), one.set('a', 1)]).toEqual([1, undefined]);
  expect([other.set('b', 0), one.set('a', 1), other.set('b', 1)]).toEqual([-1, 1, undefined]);
  expect([...one.clear(), ...other.clear()]).toEqual([
    ['a', -1],
    ['a', -3],
  ]);
  expect(room.taken).toBe(MAX_OF_ALL - 2);
});
