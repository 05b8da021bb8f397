import { afterEach, expect, test } from '@jest/globals';
import { entryOf, type EntrySource } from '../../src/log/entry.ts';
import { decodeEntry, encodeEntry } from '../../src/log/order/entry-codec.ts';
import type { StreamedEntry } from '../../src/log/order/entry-stream.ts';
import type { OrderTimes } from '../../src/log/order/jetstream-options.ts';
import type { Message } from '../../src/message.ts';
import { refusalOf } from '../support/log-contract/subject.ts';
import { draft } from '../support/log-file.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { CutOffStream, MemoryStream } from '../support/memory-stream.ts';
import { until } from '../support/until.ts';

/** A node: a log that follows a stream, and what it has handed to its listeners. */
class Node {
  readonly told: Message[] = [];
  readonly memory: MemoryLog;

  constructor(stream: MemoryStream, from?: Buffer, times?: OrderTimes) {
    this.memory = new MemoryLog({ now: Date.now, stream, from, times });
    this.memory.log.onCommit((messages) => void this.told.push(...messages));
    nodes.push(this);
  }

  get log(): MemoryLog['log'] {
    return this.memory.log;
  }

  get contents(): unknown[] {
    return this.told.map(({ content }) => JSON.parse(content) as unknown);
  }

  async put(content: unknown, fields: Partial<Parameters<typeof draft>[0]> = {}): Promise<Message> {
    await until(() => this.log.refusing === undefined, 'the stream');
    const [stored] = await this.log.append([draft({ content: JSON.stringify(content), ...fields })]);
    if (stored === undefined) throw new Error('there is no answer');
    return stored.message;
  }
}

const nodes: Node[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map(({ memory }) => memory.close()));
});

/** Waits until nodes have applied a stream to its end, and that they all came to the same. */
async function expectEqual(stream: MemoryStream, some: readonly Node[]): Promise<void> {
  // A node that has just begun appends an entry, to know that it has caught up.
  const end = (): number => stream.entries.at(-1)?.sequence ?? 0;
  await until(() => some.every(({ memory }) => memory.position.sequence === end()), 'all entries');
  expect(new Set(some.map(({ memory }) => memory.position.digest)).size).toBe(1);
  for (const { told } of some) expect(told).toEqual(some[0]?.told);
}

test('messages that any node publishes are on all nodes, with the same ids, times and epochs, once and in order', async () => {
  const stream = new MemoryStream();
  const three = [new Node(stream), new Node(stream), new Node(stream)];
  const stored = await Promise.all(
    Array.from({ length: 20 }, (_, round) =>
      three.map((node, place) => node.put([round, place], { idempotencyKey: `k${round}-${place}` })),
    ).flat(),
  );
  await expectEqual(stream, three);
  const byId = stored.toSorted((one, other) => one.id - other.id);
  expect(three[0]?.told).toEqual(byId);
  expect(byId.map(({ id }) => id)).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
});

test('a key that was used on another node returns its message, and a conflict with it is refused', async () => {
  const stream = new MemoryStream();
  const [one, other] = [new Node(stream), new Node(stream)];
  const first = await one.put('hi', { idempotencyKey: 'k' });
  expect(await other.put('hi', { idempotencyKey: 'k' })).toEqual(first);
  expect(await refusalOf(other.put('no', { idempotencyKey: 'k' }))).toMatchObject({ fault: 'key-conflict' });
  await expectEqual(stream, [one, other]);
  expect(one.contents).toEqual(['hi']);
});

test('a publish whose confirmation is lost is stored once, also if the stream takes it twice', async () => {
  const stream = new MemoryStream();
  const [one, other] = [new Node(stream), new Node(stream)];
  let lost = 0;
  stream.beforeAppend = () => {
    // The window in which the stream knows the ids has passed.
    stream.forgetIds();
    return lost++ < 3;
  };
  await until(() => one.log.refusing === undefined, 'the stream');
  one.memory.hold();
  const stored = one.put('hi');
  await until(() => stream.entries.length > 1, 'a copy');
  one.memory.release();
  expect((await stored).id).toBe(1);
  await one.put('more');
  await expectEqual(stream, [one, other]);
  expect(other.contents).toEqual(['hi', 'more']);
});

test('a publish whose copy is applied together with it is answered as stored', async () => {
  const stream = new MemoryStream();
  const [one, other] = [new Node(stream), new Node(stream)];
  await untilJoined(one, other);
  await one.put('first');
  one.memory.hold();
  stream.put(encodeEntry(stream, by(1), append('"stranger"')));
  const stored = one.put('twice');
  await until(() => entryWith(stream, 'twice') !== undefined, 'the entry');
  stream.put(entryWith(stream, 'twice')?.bytes ?? new Uint8Array());
  one.memory.release();
  expect(await stored).toMatchObject({ id: 3, content: '"twice"' });
  await expectEqual(stream, [one, other]);
  expect(other.contents).toEqual(['first', 'stranger', 'twice']);
});

test.each<[string, (source: EntrySource) => EntrySource, ReturnType<typeof entryOf>]>([
  [
    'the next counter',
    ({ proposer, counter }) => ({ proposer, counter: counter + 1 }),
    entryOf({ kind: 'tick' }),
  ],
  [
    'the last of all counters',
    ({ proposer }) => ({ proposer, counter: Number.MAX_SAFE_INTEGER }),
    append('"no"'),
  ],
])('a node whose name another uses with %s goes on under a new name', async (_what, change, entry) => {
  const stream = new MemoryStream();
  const [one, other] = [new Node(stream), new Node(stream)];
  await untilJoined(one, other);
  await one.put('first');
  stream.put(encodeEntry(stream, change(sourceOf(stream, 'first')), entry));
  const { length } = stream.entries;
  await until(() => one.memory.position.sequence >= length, 'the other entry');
  await one.put('next');
  await one.put('last');
  await expectEqual(stream, [one, other]);
  expect(one.contents.slice(-2)).toEqual(['next', 'last']);
  expect(sourceOf(stream, 'last')).toMatchObject({ counter: 2 });
});

test.each<[string, ReturnType<typeof entryOf>]>([
  ['a tick', entryOf({ kind: 'tick' })],
  ['an append of others', entryOf({ kind: 'append', batches: [[draft()], [draft()]] })],
  ['settings', entryOf({ kind: 'settings', retention: {} })],
])(
  'a publish whose place was taken by %s is answered as unknown, and the next one is stored',
  async (_what, entry) => {
    const stream = new MemoryStream();
    const [one, other] = [new Node(stream), new Node(stream)];
    await untilJoined(one, other);
    await one.put('first');
    const { proposer, counter } = sourceOf(stream, 'first');
    stream.beforeAppend = () => {
      stream.beforeAppend = () => false;
      stream.put(encodeEntry(stream, { proposer, counter: counter + 1 }, entry));
      return false;
    };
    expect(await refusalOf(one.put('taken'))).toMatchObject({ name: 'LogUnavailable', mayBeStored: true });
    expect((await one.put('next')).content).toBe('"next"');
    await expectEqual(stream, [one, other]);
    expect(other.contents).not.toContain('taken');
  },
);

test('a node that fails while it applies stops following, and says so', async () => {
  const stream = new MemoryStream();
  const one = new Node(stream);
  await one.put('first');
  one.log.onCommit(() => {
    throw new Error('a listener failed');
  });
  stream.put(encodeEntry(stream, by(1), append('"second"')));
  await until(() => one.memory.order?.state === 'lost', 'the end');
  expect(one.memory.order?.lost?.message).toBe('a listener failed');
});

test('a copy that comes after a later entry of its node changes nothing', async () => {
  const stream = new MemoryStream();
  const [one, other] = [new Node(stream), new Node(stream)];
  await one.put('first');
  await one.put('second');
  stream.put(stream.entries[0]?.bytes ?? new Uint8Array());
  await expectEqual(stream, [one, other]);
  expect(other.contents).toEqual(['first', 'second']);
});

test.each([
  ['no text', Uint8Array.of(0xff, 0xfe)],
  ['no JSON', Buffer.from('hello')],
  ['JSON of another kind', Buffer.from('{"v":1}')],
  ['an entry of another log', encodeEntry({ logId: 'x', generation: 1 }, by(1), append('no'))],
  ['an entry of another generation', encodeEntry({ logId: 'log', generation: 2 }, by(1), append('no'))],
  ['an entry of no known kind', Buffer.from('[1,"log",1,"p",1,{"kind":"drop"}]')],
  ['more drafts than values', Buffer.from('[1,"log",1,"p",1,[[1000000000],["a"]]]')],
  ['drafts of the wrong types', Buffer.from('[1,"log",1,"p",1,[[1],[{},"b","message","1",null,null,0]]]')],
  ['a purge without bounds', Buffer.from('[1,"log",1,"p",1,{"kind":"purge","purge":{}}]')],
  ['settings without any', Buffer.from('[1,"log",1,"p",1,{"kind":"settings"}]')],
])(
  '%s in the stream is applied as nothing by all nodes, and the next entry follows',
  async (_what, bytes) => {
    const stream = new MemoryStream();
    const [one, other] = [new Node(stream), new Node(stream)];
    await one.put('before');
    stream.put(bytes);
    await one.put('after');
    await expectEqual(stream, [one, other]);
    expect(other.contents).toEqual(['before', 'after']);
    const again = new Node(stream);
    await expectEqual(stream, [one, again]);
  },
);

test('the reading of a stream goes on where it broke', async () => {
  const stream = new MemoryStream();
  const [one, other] = [new Node(stream), new Node(stream)];
  for (let index = 0; index < 20; index++) {
    await one.put(index);
    stream.break();
  }
  await expectEqual(stream, [one, other]);
  expect(other.contents).toEqual(Array.from({ length: 20 }, (_, index) => index));
});

test('a node that starts from an older copy of its database reaches the same state, as does a new node', async () => {
  const stream = new MemoryStream();
  const one = new Node(stream);
  const other = new Node(stream);
  await one.put(1);
  await until(() => other.told.length === 1, 'the first');
  const saved = await other.memory.close();
  nodes.splice(nodes.indexOf(other), 1);
  await one.put(2);
  await one.put(3);
  const again = new Node(stream, saved);
  const fresh = new Node(stream);
  await expectEqual(stream, [one, fresh]);
  await until(() => again.memory.position.sequence === one.memory.position.sequence, 'all entries');
  expect(again.memory.position).toEqual(one.memory.position);
  expect(again.contents).toEqual([2, 3]);
});

test('a cursor that is ahead of a node waits until the node has caught up, and only then is of another history', async () => {
  const stream = new MemoryStream();
  const [one, other] = [new Node(stream), new Node(stream, undefined, { catchUp: 500 })];
  await one.put(0);
  await until(() => other.told.length === 1 && other.log.refusing === undefined, 'the first');
  other.memory.hold();
  const { id } = await one.put(1);
  const cursor = one.log.cursor(id);
  let isReached = false;
  const reached = other.log.reach(cursor)?.then(() => (isReached = true));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(isReached).toBe(false);
  other.memory.release();
  await reached;
  expect(other.log.locate(cursor, ['bob'])).toMatchObject({ after: id, gap: false });
  expect(other.log.reach(cursor)).toBeUndefined();
  await other.log.reach('99-abc');
  expect(other.log.locate('99-abc', ['bob'])).toMatchObject({ gap: 'restored' });
  stream.beforeAppend = () => Promise.reject(new Error('timeout'));
  await expect(other.log.reach('99-abc')).rejects.toMatchObject({ name: 'LogBehind' });
});

test('a server that led the stream, and is cut off, makes no node say that a cursor is of another history', async () => {
  const stream = new MemoryStream();
  const one = new Node(stream);
  await one.put(0);
  const cutOff = new CutOffStream(stream);
  const other = new Node(cutOff, undefined, { catchUp: 200 });
  await until(() => other.told.length === 1 && other.log.refusing === undefined, 'the first');
  cutOff.cut();
  const { id } = await one.put(1);
  await expect(other.log.reach(one.log.cursor(id))).rejects.toMatchObject({ name: 'LogBehind' });
  // Nor does one that begins to follow there believe that it has caught up.
  const late = new Node(cutOff);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(late.log.cutOff).toBe('this node has not caught up with the others yet');
});

test.each<[string, (stream: MemoryStream) => void, string]>([
  ['made anew', (stream) => (stream.logId = 'another'), 'Forked'],
  ['of another generation', (stream) => (stream.generation = 2), 'Forked'],
  ['restored from older files', (stream) => stream.entries.splice(1), 'Forked'],
  [
    'restored from older files, and has grown again',
    (stream) => {
      const [first] = stream.entries.splice(1);
      for (const counter of [1, 2, 3]) stream.put(encodeEntry(stream, by(counter), append('other')));
      expect(first).toBeDefined();
    },
    'Forked',
  ],
  [
    'purged past a node',
    (stream) => {
      stream.entries.splice(0);
      stream.first = 9;
    },
    'TooFarBehind',
  ],
])('a stream that is %s is not followed', async (_what, change, name) => {
  const stream = new MemoryStream();
  const [one, other] = [new Node(stream), new Node(stream)];
  await one.put(1);
  await one.put(2);
  await expectEqual(stream, [one, other]);
  change(stream);
  stream.break();
  for (const { memory } of [one, other]) {
    const end = (): Error | undefined => memory.fatal[0] ?? memory.order?.lost;
    await until(() => end() !== undefined, 'the end');
    expect(end()?.name).toBe(name);
    // Only a node that can join again by itself has to end.
    expect(memory.fatal).toHaveLength(name === 'TooFarBehind' ? 1 : 0);
  }
});

test('a node follows on a stream that looks like another one for a moment', async () => {
  const stream = new MemoryStream();
  const one = new Node(stream);
  await one.put(1);
  const extent = stream.extent.bind(stream);
  let looks = 0;
  stream.extent = async () => {
    const found = await extent();
    return looks++ === 0 ? { ...found, last: 0 } : found;
  };
  stream.break();
  await until(() => looks > 1, 'another look');
  await one.put(2);
  expect(one.memory.fatal).toEqual([]);
});

test('nodes whose servers disagree about an entry have other digests, also if its outcome is the same', async () => {
  const digests = new Set<string>();
  for (const counter of [1, 1, 2]) {
    const stream = new MemoryStream(() => 1000);
    stream.put(encodeEntry({ logId: 'log', generation: 1 }, by(counter), append('1')));
    stream.beforeAppend = () => Promise.reject(new Error('timeout'));
    const node = new Node(stream);
    await until(() => node.memory.position.sequence === 1, 'the entry');
    digests.add(node.memory.position.digest);
  }
  expect(digests.size).toBe(2);
});

test('a node stops following at an entry of a newer version, and applies nothing behind it', async () => {
  const stream = new MemoryStream();
  const one = new Node(stream);
  await one.put(1);
  const newer = encodeEntry({ logId: 'log', generation: 1 }, by(1), { ...append('2'), v: 2 });
  stream.put(newer);
  const end = stream.entries.find(({ bytes }) => bytes === newer)?.sequence ?? 0;
  stream.put(encodeEntry({ logId: 'log', generation: 1 }, by(2), append('3')));
  await until(() => one.memory.order?.state === 'lost', 'the end');
  expect(one.memory.order?.lost?.message).toContain('version 2');
  stream.put(encodeEntry({ logId: 'log', generation: 1 }, by(3), append('4')));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(one.memory.position.sequence).toBe(end - 1);
  expect(one.memory.fatal).toEqual([]);
});

test('a batch that is too large for an entry is refused before it waits, and says the bound', async () => {
  const stream = new MemoryStream();
  stream.maxBytes = 2000;
  const one = new Node(stream);
  expect(await refusalOf(one.put('x'.repeat(3000)))).toMatchObject({ name: 'BatchTooLarge', maxBytes: 2000 });
  await one.put('x'.repeat(100));
  expect(stream.entries.filter(({ bytes }) => bytes.length > 2000)).toEqual([]);
});

test('a node that is closed answers what has not come back, as unknown', async () => {
  const stream = new MemoryStream();
  const one = new Node(stream);
  await one.put(1);
  stream.beforeAppend = () => new Promise<boolean>(() => undefined);
  const refused = refusalOf(one.log.append([draft({ content: '2' })]));
  await one.memory.close();
  nodes.length = 0;
  expect(await refused).toMatchObject({ name: 'LogUnavailable', mayBeStored: true });
});

/** The source of the newest entry. */
/** Waits until nodes have caught up: each has appended an entry for that. */
async function untilJoined(...some: readonly Node[]): Promise<void> {
  await until(() => some.every(({ log }) => log.refusing === undefined), 'the stream');
}

/** Returns the newest entry of a stream with a text; `undefined` if there is none. */
function entryWith(stream: MemoryStream, text: string): StreamedEntry | undefined {
  return stream.entries.findLast(({ bytes }) => Buffer.from(bytes).includes(text));
}

function sourceOf(stream: MemoryStream, text: string): EntrySource {
  const { source } = decodeEntry(stream, entryWith(stream, text)?.bytes ?? new Uint8Array());
  if (source === undefined) throw new Error('it has no source');
  return source;
}

function by(counter: number): { proposer: string; counter: number } {
  return { proposer: 'stranger', counter };
}

function append(content: string): ReturnType<typeof entryOf> {
  return entryOf({ kind: 'append', batches: [[draft({ content })]] });
}
