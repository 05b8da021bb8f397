import { EventEmitter } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import type { PushEntry } from '../../src/log/push-store.ts';
import { WriterClient } from '../../src/log/writer-client.ts';
import type { WriterReply, WriterRequest } from '../../src/log/writer-thread.ts';
import { draft } from '../support/log-file.ts';

/** The writer's thread, whose answers a test gives. */
class FakeWorker extends EventEmitter {
  readonly asked: WriterRequest[] = [];

  postMessage(request: WriterRequest): void {
    this.asked.push(request);
  }

  says(reply: WriterReply): void {
    this.emit('message', reply);
  }
}

describe('changes of subscriptions', () => {
  let worker: FakeWorker;
  let client: WriterClient;
  beforeEach(() => {
    worker = new FakeWorker();
    client = new WriterClient(worker as unknown as Worker, pino({ level: 'silent' }), {
      onFatal: () => undefined,
      onReopened: () => undefined,
    });
    worker.says({ kind: 'open' });
  });

  const entries = (count: number, id = 0): PushEntry[] =>
    Array.from({ length: count }, () => ({ kind: 'through', id, through: 1 }));
  const sizes = (): number[] =>
    worker.asked.map((request) => (request.kind === 'push' ? request.entries.length : 0));
  /** The thread answers the oldest request it has not answered: each change is the place of its entry. */
  const answers = (count: number): void => {
    const changes = Array.from({ length: count }, (_, index) => ({
      stored: undefined,
      refused: undefined,
      isNew: false,
      removed: [{ id: index, recipient: 'bob', endpoint: 'x' }],
    }));
    worker.says({ kind: 'pushed', changes });
  };

  test('gather while the thread makes others, and each call gets its own', async () => {
    const calls = [1, 1, 2, 1].map((count) => client.applyPush(entries(count)));
    expect(sizes()).toEqual([1]);
    answers(1);
    expect(sizes()).toEqual([1, 4]);
    answers(4);
    const changes = await Promise.all(calls);
    expect(changes.map((of) => of.map(({ removed }) => removed[0]?.id))).toEqual([[0], [0], [1, 2], [3]]);
  });

  test('are at most 500 in a transaction, unless one call has more', () => {
    for (const count of [1, 300, 200, 1, 600, 1]) void client.applyPush(entries(count));
    for (const count of [1, 500, 1, 600]) answers(count);
    expect(sizes()).toEqual([1, 500, 1, 600, 1]);
  });

  test('that fail do so for each call in the transaction, and the next are made', async () => {
    const first = client.applyPush(entries(1));
    const gathered = [client.applyPush(entries(1)), client.applyPush(entries(1))];
    answers(1);
    await first;
    worker.says({ kind: 'failed', request: 'push', reason: 'SQLITE_FULL', mayBeStored: false });
    for (const call of gathered) await expect(call).rejects.toThrow('the disk of the log is full');
    const next = client.applyPush(entries(1));
    answers(1);
    await expect(next).resolves.toHaveLength(1);
  });
});

test.each([true, false])(
  'an append that fails says whether it may be stored all the same: %s',
  async (mayBeStored) => {
    const worker = new FakeWorker();
    const client = new WriterClient(worker as unknown as Worker, pino({ level: 'silent' }), {
      onFatal: () => undefined,
      onReopened: () => undefined,
    });
    const appended = client.append([[draft()]]);
    worker.says({
      kind: 'failed',
      request: 'append',
      reason: 'SQLITE_IOERR_FSYNC: disk I/O error',
      mayBeStored,
    });
    expect(await appended).toMatchObject({ message: 'the log cannot be written', mayBeStored });
  },
);
