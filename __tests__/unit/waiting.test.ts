import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from '@jest/globals';
import { readPublication } from '../../src/publish/draft.ts';
import { GroupCommit, WAITING_BYTES } from '../../src/log/order/group-commit.ts';
import { LogUnavailable } from '../../src/log/message-log.ts';
import type { Order } from '../../src/log/order/order.ts';
import type { Draft } from '../../src/message.ts';

/** In bytes. */
const BOUND = 8 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapBytes(): number {
  // Twice: the first ends a marking that goes on already, and keeps what has died since that began.
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** A group that never comes to the disk. */
function hangingGroup(bytes?: number): GroupCommit {
  const order: Pick<Order, 'propose'> = { propose: () => new Promise(() => undefined) };
  return new GroupCommit(order, () => ({ answers: [], handedOn: undefined }), bytes);
}

/** Drafts as they come: from the text of a body. */
function draftsOf(body: string): Draft[] {
  const context = { defaultSender: 'anonymous', mayRead: () => true };
  return (JSON.parse(body) as unknown[]).map((fields, index) => {
    const publication = readPublication(fields, `/${index}`, context, []);
    if (publication === undefined) throw new Error('the draft is refused');
    return publication.draft;
  });
}

/** A name of 128 characters, of which most are `fill`. */
const name = (batch: number, index: number, fill: string) => `${batch}-${index}-`.padEnd(128, fill);

const KINDS: readonly [what: string, size: number, message: (batch: number, index: number) => object][] = [
  ['the least there is', 1000, () => ({ recipient: 'bob', content: 0 })],
  [
    'long addresses and keys',
    1000,
    (batch, index) => ({
      sender: name(batch, index, 's'),
      recipient: name(batch, index, 'r'),
      idempotencyKey: name(batch, index, 'k'),
      content: 0,
    }),
  ],
  [
    'long addresses and keys of wide characters',
    1000,
    (batch, index) => ({
      sender: name(batch, index, 'ж'),
      recipient: name(batch, index, '字'),
      idempotencyKey: name(batch, index, '字'),
      content: 0,
    }),
  ],
  ['objects', 1000, (_, index) => ({ recipient: 'bob', content: { a: [1, 2, { b: null }], index } })],
  ['much text', 80, (batch, index) => ({ recipient: 'bob', content: name(batch, index, 'y').repeat(300) })],
  ['much wide text', 50, (_, index) => ({ recipient: 'bob', content: `${index}${'字'.repeat(16_000)}` })],
  ['single messages', 1, (batch, index) => ({ recipient: name(batch, index, 'r'), content: 'hello' })],
];

describe('publishes that wait while the disk hangs', () => {
  test.each(KINDS)('publishes that wait are counted by their memory: %s', async (_what, size, message) => {
    const group = hangingGroup(BOUND);
    const before = heapBytes();
    let batches = 0;
    const taken: Promise<unknown>[] = [];
    while (!group.isFull) {
      const body = Array.from({ length: size }, (_, index) => message(batches, index));
      taken.push(group.append(draftsOf(JSON.stringify(body))));
      batches++;
    }
    const grown = heapBytes() - before;
    expect(grown).toBeLessThan(1.5 * BOUND);
    // A single one is counted with its request, which is not made here.
    if (size > 1) expect(grown).toBeGreaterThan(BOUND / 3);
    expect(taken).toHaveLength(batches);
    await expect(group.append(draftsOf('[{"recipient":"bob","content":0}]'))).rejects.toThrow(LogUnavailable);
  });

  test('a service takes 64 MiB of publishes that wait, and no more', () => {
    expect(WAITING_BYTES).toBe(64 * 1024 * 1024);
    const group = hangingGroup();
    let bytes = 0;
    while (!group.isFull && bytes < 2 * WAITING_BYTES) {
      const content = 'y'.repeat(40_000);
      void group.append(draftsOf(JSON.stringify([{ recipient: 'bob', content }])));
      bytes += content.length;
    }
    expect(bytes).toBeGreaterThan(WAITING_BYTES / 3);
    expect(bytes).toBeLessThan(1.1 * WAITING_BYTES);
  });
});
