import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Presence } from '../../src/hub/presence.ts';
import { FairScheduler } from '../../src/fair-scheduler.ts';
import type { Watcher } from '../../src/hub/presence-watchers.ts';
import { sseFraming } from '../../src/sse/frame.ts';
import { WatchedPresence } from '../../src/stream/watched-presence.ts';
import { webSocketFraming } from '../../src/ws/frame.ts';

/** A watcher that calls back for each address that it is told of. */
function watcherOf(watched: readonly string[], onTold: (address: string) => void): Watcher {
  const noted = new Set<string>();
  return {
    watched,
    note: (address) => void noted.add(address),
    tell: () => {
      for (const address of noted) onTold(address);
      noted.clear();
    },
  };
}

describe('presence', () => {
  let presence: Presence;
  let changes: string[];
  beforeEach(() => {
    jest.useFakeTimers({ now: 1_000_000 });
    presence = new Presence(new FairScheduler(), Date.now);
    changes = [];
    presence.watch(
      watcherOf(['bob'], (address) =>
        changes.push(`${address} ${presence.state(address).online ? 'online' : 'offline'}`),
      ),
    );
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('an address that was not online since the start has no lastSeen', () => {
    expect(presence.state('bob')).toEqual({ online: false, devices: 0, lastSeen: null });
  });

  test('a second connection of an address changes the count, not whether it is online', () => {
    presence.join(['bob']);
    presence.join(['bob', 'room']);
    expect(presence.state('bob')).toEqual({ online: true, devices: 2, lastSeen: 1_000_000 });
    presence.leave(['bob']);
    jest.advanceTimersByTime(60_000);
    expect(presence.state('bob').devices).toBe(1);
    expect(changes).toEqual(['bob online']);
  });

  test('an address that is back within 6 s was not offline', () => {
    presence.join(['bob']);
    presence.leave(['bob']);
    jest.advanceTimersByTime(5999);
    expect(presence.state('bob')).toEqual({ online: true, devices: 0, lastSeen: 1_000_000 });
    presence.join(['bob']);
    jest.advanceTimersByTime(60_000);
    expect(changes).toEqual(['bob online']);
  });

  test('an address is offline 6 s after its last connection left, and was last seen then', () => {
    presence.join(['bob']);
    jest.advanceTimersByTime(500);
    presence.leave(['bob']);
    jest.advanceTimersByTime(6000);
    expect(presence.state('bob')).toEqual({ online: false, devices: 0, lastSeen: 1_000_500 });
    expect(changes).toEqual(['bob online', 'bob offline']);
    presence.join(['bob']);
    expect(changes).toEqual(['bob online', 'bob offline', 'bob online']);
  });

  test('a watcher that has stopped is told nothing', () => {
    const heard: string[] = [];
    const unwatch = presence.watch(watcherOf(['bob'], (address) => heard.push(address)));
    unwatch();
    presence.join(['bob']);
    expect(heard).toEqual([]);
  });

  test('an address that leaves without having joined stays offline', () => {
    presence.leave(['bob']);
    expect(presence.state('bob')).toEqual({ online: false, devices: 0, lastSeen: null });
  });

  test('each of many addresses goes offline 6 s after it left, within 100 ms', () => {
    const gone = new Map<string, number>();
    const names = Array.from({ length: 50 }, (_, index) => `name-${index}`);
    presence.watch(watcherOf(names, (address) => void gone.set(address, Date.now())));
    presence.join(names);
    gone.clear();
    const left = new Map<string, number>();
    for (const name of names) {
      presence.leave([name]);
      left.set(name, Date.now());
      jest.advanceTimersByTime(7);
    }
    jest.advanceTimersByTime(6100);
    expect(gone.size).toBe(names.length);
    for (const [name, at] of gone) {
      expect(at - (left.get(name) ?? 0)).toBeGreaterThanOrEqual(6000);
      expect(at - (left.get(name) ?? 0)).toBeLessThanOrEqual(6100);
    }
    expect(jest.getTimerCount()).toBe(0);
  });

  test('one timer waits for any number of addresses that leave at once', () => {
    const names = Array.from({ length: 1000 }, (_, index) => `name-${index}`);
    presence.join(names);
    presence.leave(names);
    expect(jest.getTimerCount()).toBe(1);
  });
});

test('of a million addresses that come and go, at most 100,000 wait to go offline, and at most 200,000 are remembered', () => {
  const run = (job: Iterable<unknown>): Promise<void> => {
    Array.from(job);
    return Promise.resolve();
  };
  const presence = new Presence({ run }, Date.now);
  const names = Array.from({ length: 1_000_000 }, (_, index) => `name-${index}`);
  for (let at = 0; at < names.length; at += 100) {
    const some = names.slice(at, at + 100);
    presence.join(some);
    presence.leave(some);
  }
  const states = names.map((name) => presence.state(name));
  const online = states.filter((state) => state.online).length;
  const remembered = states.filter((state) => !state.online && state.lastSeen !== null).length;
  expect(online).toBeLessThanOrEqual(100_000);
  expect(remembered).toBeGreaterThanOrEqual(100_000);
  expect(remembered).toBeLessThanOrEqual(200_000);
  expect(presence.state('name-999999').lastSeen).not.toBeNull();
});

/** A connection of a stream that counts what is written. */
class FakeConnection {
  room = 256 * 1024;
  readonly writes: Buffer[] = [];
  write(bytes: Buffer): void {
    this.writes.push(bytes);
  }
  get told(): { recipient: string; online: boolean }[] {
    return [
      ...Buffer.concat(this.writes)
        .toString()
        .matchAll(/^data: (.*)$/gm),
    ].map(([, json = '']) => JSON.parse(json) as { recipient: string; online: boolean });
  }
}

describe('presence that many streams watch', () => {
  const names = Array.from({ length: 100 }, (_, index) => `name-${index}`);
  let presence: Presence;
  let jobs: Iterator<unknown>[];
  /** Takes all steps of what is to be told. */
  const tell = (): void => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) while (job.next().done !== true);
  };
  beforeEach(() => {
    jobs = [];
    const run = (job: Iterable<unknown>): Promise<void> => {
      jobs.push(job[Symbol.iterator]());
      return Promise.resolve();
    };
    presence = new Presence({ run }, () => 1_000_000);
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  const open = (framing = sseFraming): { connection: FakeConnection; watched: WatchedPresence } => {
    const connection = new FakeConnection();
    const watched = new WatchedPresence(presence, names, connection, framing);
    watched.start();
    return { connection, watched };
  };

  test('a stream that watches presence begins with one write of all states', () => {
    const { connection } = open();
    expect(connection.writes).toHaveLength(1);
    expect(connection.told.map(({ recipient }) => recipient)).toEqual(names);
  });

  test('changes of presence are sent to each watcher in one write, of frames that are encoded once for each protocol', () => {
    const streams = Array.from({ length: 20 }, (_, index) =>
      open(index % 2 === 0 ? sseFraming : webSocketFraming),
    );
    const encoded = [jest.spyOn(sseFraming, 'encode'), jest.spyOn(webSocketFraming, 'encode')];
    presence.join(names);
    tell();
    for (const { connection } of streams) expect(connection.writes).toHaveLength(2);
    expect(encoded.map(({ mock }) => mock.calls.length)).toEqual([100, 100]);
  });

  test('watchers are told of presence in steps, with at most one write in each', () => {
    const streams = Array.from({ length: 20 }, () => open());
    const written = (): number => streams.reduce((sum, { connection }) => sum + connection.writes.length, 0);
    presence.join(names);
    const [job] = jobs;
    for (let before = written(), over = false; !over; before = written()) {
      over = job?.next().done !== false;
      expect(written() - before).toBeLessThanOrEqual(1);
    }
    expect(written()).toBe(40);
  });

  test('a watcher is told the state at its turn: nothing of an address that left and is back by then', () => {
    jest.useFakeTimers({ now: 1_000_000 });
    presence.join(['name-1']);
    tell();
    const streams = [open(), open(), open()];
    presence.leave(['name-1']);
    jest.advanceTimersByTime(6000);
    const [job] = jobs;
    // Until the first is told that it went.
    while (streams[0]?.connection.writes.length === 1) job?.next();
    presence.join(['name-1']);
    tell();
    const told = streams.map(({ connection }) => connection.told.slice(100).map(({ online }) => online));
    expect(told).toEqual([[false, true], [], []]);
    jest.useRealTimers();
  });

  test('a change of presence is not sent again to a watcher that began after it', () => {
    presence.watch(watcherOf(names, () => undefined));
    presence.join(['name-1']);
    const { connection } = open();
    expect(connection.told[1]).toMatchObject({ recipient: 'name-1', online: true });
    tell();
    expect(connection.writes).toHaveLength(1);
  });

  test('presence waits for room on its own stream only, and a stream that has ended is told nothing', () => {
    const [full, gone, other] = [open(), open(), open()];
    full.connection.room = 0;
    presence.join(names);
    jobs[0]?.next();
    gone.watched.stop();
    tell();
    expect([full, gone, other].map(({ connection }) => connection.writes.length)).toEqual([1, 1, 2]);
    full.connection.room = 1000;
    full.watched.tell();
    expect(full.connection.writes).toHaveLength(2);
    expect(full.connection.writes[1]?.length).toBeLessThanOrEqual(1000);
    full.connection.room = 256 * 1024;
    full.watched.tell();
    expect(full.connection.told).toHaveLength(200);
  });
});
