import { expect, test } from '@jest/globals';

interface Kept {
  readonly isPersistent: boolean;
  get(name: string): string | undefined;
  set(name: string, value: string): void;
  remove(name: string): void;
  names(prefix: string): string[];
}
const CLIENT = '../../public/client';
const { createStorage } = (await import(`${CLIENT}/storage.js`)) as {
  createStorage: (find: () => unknown) => Kept;
};

/** A storage of a browser, with room for so many characters. */
function browserStorage(room: () => number): object {
  const values: Record<string, string> = {};
  const used = (): number => Object.entries(values).flat().join('').length;
  const methods = {
    getItem: (name: string) => values[name] ?? null,
    setItem: (name: string, value: string) => {
      if (used() - (values[name]?.length ?? -name.length) + value.length > room())
        throw new DOMException('full', 'QuotaExceededError');
      values[name] = value;
    },
    removeItem: (name: string) => Reflect.deleteProperty(values, name),
  };
  return Object.setPrototypeOf(values, methods) as object;
}

/** Runs a function as in a page, and returns its result. */
function inPage<Value>(run: () => Value): Value {
  const globals = globalThis as Record<string, unknown>;
  globals['document'] = {};
  try {
    return run();
  } finally {
    Reflect.deleteProperty(globals, 'document');
  }
}

test('values without room are in memory, and move to the browser’s storage with the next change when there is room', () => {
  inPage(() => {
    let room = 10;
    const kept = browserStorage(() => room);
    const storage = createStorage(() => kept);
    storage.set('a', '1');
    storage.set('b', '123456789');
    storage.set('a', '2');
    expect([storage.get('a'), storage.get('b'), storage.isPersistent]).toEqual(['2', '123456789', false]);
    expect(storage.names('')).toEqual(['a', 'b']);
    expect(Object.keys(kept)).toEqual(['a']);
    room = 20;
    storage.set('c', '3');
    expect([Object.keys(kept), storage.isPersistent]).toEqual([['a', 'b', 'c'], true]);
    room = 13;
    storage.set('c', 'too long');
    expect([storage.get('c'), storage.isPersistent]).toEqual(['too long', false]);
    storage.remove('b');
    expect([storage.get('c'), storage.names(''), storage.isPersistent]).toEqual([
      'too long',
      ['a', 'c'],
      true,
    ]);
  });
});

test('in a program all values are in memory', () => {
  const storage = createStorage(() => {
    throw new Error('it is asked for');
  });
  storage.set('a', '1');
  expect([storage.get('a'), storage.names('a'), storage.isPersistent]).toEqual(['1', ['a'], false]);
  storage.remove('a');
  expect([storage.get('a'), storage.isPersistent]).toEqual([undefined, false]);
});
