import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';

interface Events {
  readonly onGain: () => void;
  readonly onLose: () => void;
  readonly onHear: (message: string, isLate: boolean) => void;
}
/** The tested object, typed without the types of pages. */
interface Lock {
  readonly isHeld: boolean;
  request(): void;
  say(message: string): void;
  close(): void;
}
const CLIENT = '../../public/client';
const { openSharedLock } = (await import(`${CLIENT}/shared-lock.js`)) as {
  openSharedLock: (name: string, silence: number, events: Events) => Lock;
};

type Callback = () => Promise<void> | undefined;
interface Options {
  readonly steal?: boolean;
  readonly signal?: AbortSignal;
}
interface Request {
  readonly begin: () => void;
  readonly reject: (error: Error) => void;
}

/** One lock of a browser, as Web Locks has it. */
class FakeLocks {
  #held: Request | undefined;
  #waiting: Request[] = [];

  request(_name: string, { steal, signal }: Options, callback: Callback): Promise<void> {
    return new Promise((resolve, reject) => {
      const request: Request = {
        reject,
        begin: () => {
          this.#held = request;
          void Promise.resolve(callback()).then(() => {
            resolve();
            if (this.#held === request) this.#next();
          });
        },
      };
      signal?.addEventListener('abort', () => {
        this.#waiting = this.#waiting.filter((one) => one !== request);
      });
      if (steal === true) {
        const robbed = this.#held;
        request.begin();
        // Events arrive in their order, as between processes.
        setTimeout(() => robbed?.reject(new DOMException('stolen', 'AbortError')), 50);
      } else {
        this.#waiting.push(request);
        if (this.#held === undefined) this.#next();
      }
    });
  }

  #next(): void {
    this.#held = undefined;
    this.#waiting.shift()?.begin();
  }
}

/** A channel between tabs; what a tab that hangs says or hears is not delivered yet. */
class FakeChannel {
  static all: FakeChannel[] = [];
  onmessage: ((event: { data: unknown }) => void) | null = null;
  isDeaf = false;
  /** Messages of a muted tab. */
  #held: unknown[] | undefined;

  constructor() {
    FakeChannel.all.push(this);
  }

  postMessage(data: unknown): void {
    if (this.#held !== undefined) this.#held.push(data);
    else for (const one of FakeChannel.all) if (one !== this && !one.isDeaf) one.onmessage?.({ data });
  }

  mute(): void {
    this.#held = [];
  }

  unmute(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const data of held) this.postMessage(data);
  }

  close(): void {
    FakeChannel.all = FakeChannel.all.filter((one) => one !== this);
  }
}

class Tab {
  readonly heard: [string, boolean][] = [];
  readonly changes: string[] = [];
  readonly lock: Lock;
  readonly channel: FakeChannel;

  constructor() {
    this.lock = openSharedLock('name', 10_000, {
      onGain: () => this.changes.push('gain'),
      onLose: () => this.changes.push('lose'),
      onHear: (message, isLate) => this.heard.push([message, isLate]),
    });
    this.channel = FakeChannel.all.at(-1) as FakeChannel;
    this.lock.request();
  }
}

const globals = globalThis as Record<string, unknown>;
const names = ['document', 'navigator', 'BroadcastChannel'];
let before: (PropertyDescriptor | undefined)[];
beforeEach(() => {
  jest.useFakeTimers();
  FakeChannel.all = [];
  before = names.map((name) => Object.getOwnPropertyDescriptor(globals, name));
  const values = [{}, { locks: new FakeLocks() }, FakeChannel];
  for (const [index, name] of names.entries())
    Object.defineProperty(globals, name, { value: values[index], configurable: true });
});
afterEach(() => {
  jest.useRealTimers();
  for (const [index, name] of names.entries()) {
    const descriptor = before[index];
    if (descriptor === undefined) Reflect.deleteProperty(globals, name);
    else Object.defineProperty(globals, name, descriptor);
  }
});

async function pass(seconds: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(seconds * 1000);
}

async function open(count: number): Promise<Tab[]> {
  const tabs: Tab[] = [];
  for (let tab = 0; tab < count; tab++) {
    tabs.push(new Tab());
    await pass(0.01);
  }
  return tabs;
}

test('the first tab holds the lock until it closes, and then the next one holds it', async () => {
  const [first, second] = (await open(2)) as [Tab, Tab];
  await pass(600);
  expect([first.changes, second.changes]).toEqual([['gain'], []]);
  first.lock.close();
  await pass(0.01);
  expect(second.changes).toEqual(['gain']);
});

test('a tab takes the lock from a tab that neither speaks nor answers, and gives it back when it closes', async () => {
  const [first, second] = (await open(2)) as [Tab, Tab];
  first.channel.mute();
  await pass(18);
  expect([first.changes, second.changes]).toEqual([['gain', 'lose'], ['gain']]);
  first.channel.unmute();
  await pass(600);
  expect(second.lock.isHeld).toBe(true);
  second.lock.close();
  await pass(0.01);
  expect(first.changes).toEqual(['gain', 'lose', 'gain']);
});

test('if several tabs wait for a silent one, exactly one of them has the lock in the end', async () => {
  const tabs = await open(5);
  tabs[0]?.channel.mute();
  await pass(30);
  expect(tabs.filter(({ lock }) => lock.isHeld)).toHaveLength(1);
  expect(tabs[0]?.lock.isHeld).toBe(false);
  tabs[0]?.channel.unmute();
  const changes = tabs.map((tab) => tab.changes.length);
  await pass(600);
  expect(tabs.map((tab) => tab.changes.length)).toEqual(changes);
});

test('messages of a tab that lost the lock unnoticed are late for tabs that heard the new holder', async () => {
  const [first, second, third] = (await open(3)) as [Tab, Tab, Tab];
  first.channel.mute();
  first.lock.say('before');
  await pass(18);
  const [winner, other] = second.lock.isHeld ? [second, third] : [third, second];
  winner.lock.say('of now');
  first.channel.unmute();
  expect(other.heard).toEqual([
    ['of now', false],
    ['before', true],
  ]);
});

test('a tab that hears of a later holder gives way before its lock says so', async () => {
  const [first, second] = (await open(2)) as [Tab, Tab];
  first.channel.mute();
  first.channel.isDeaf = true;
  // A moment after the lock was taken.
  for (let times = 0; times < 2000 && !second.lock.isHeld; times++) await pass(0.01);
  expect([first.lock.isHeld, second.lock.isHeld]).toEqual([true, true]);
  first.channel.isDeaf = false;
  second.lock.say('of now');
  expect(first.lock.isHeld).toBe(false);
  await pass(1);
  expect(first.changes).toEqual(['gain', 'lose']);
});

test('a tab whose lock was taken gives way though it hears nothing of the other', async () => {
  const [first, second] = (await open(2)) as [Tab, Tab];
  first.channel.mute();
  first.channel.isDeaf = true;
  await pass(18);
  expect([first.changes, second.changes]).toEqual([['gain', 'lose'], ['gain']]);
});
