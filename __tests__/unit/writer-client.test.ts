import { EventEmitter } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { beforeEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { entryOf } from '../../src/log/entry.ts';
import { WriterClient } from '../../src/log/replica/writer-client.ts';
import type { WriterReply, WriterRequest } from '../../src/log/replica/writer-thread.ts';
import { draft, TIME } from '../support/log-file.ts';

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

let worker: FakeWorker;
let client: WriterClient;
let logTimes: number[];
let fatal: string[];
beforeEach(() => {
  worker = new FakeWorker();
  logTimes = [];
  fatal = [];
  client = new WriterClient(pino({ level: 'silent' }));
  const opened = client.open(worker as unknown as Worker, {
    onFatal: ({ message }) => fatal.push(message),
    onReopened: () => undefined,
    onProposed: () => undefined,
    onUpkeep: (logTime) => logTimes.push(logTime),
  });
  worker.says({ kind: 'open' });
  return opened;
});

const append = { entry: entryOf({ kind: 'append', batches: [[draft()]] }), time: TIME };

test.each([true, false])(
  'an entry that fails says whether it may be stored all the same: %s',
  async (mayBeStored) => {
    const applied = client.apply([append]);
    const reason = 'SQLITE_IOERR_FSYNC: disk I/O error';
    worker.says({ kind: 'failed', request: 'apply', reason, mayBeStored });
    expect(await applied).toMatchObject({ message: 'the log cannot be written', mayBeStored });
  },
);

test('calls of the writer thread are answered in their order, by outcome or failure', async () => {
  const calls = [client.apply([append]), client.apply([append]), client.apply([append])];
  worker.says([1, 1, [{ kind: 'settings' }]]);
  worker.says({ kind: 'failed', request: 'apply', reason: 'SQLITE_FULL', mayBeStored: false });
  worker.says([1, 1, [{ kind: 'tick' }]]);
  expect(await Promise.all(calls)).toMatchObject([
    { outcomes: [{ kind: 'settings' }] },
    { message: 'the disk of the log is full' },
    { outcomes: [{ kind: 'tick' }] },
  ]);
});

test('upkeep reports the number of purged messages, and the time of its entries even if it purged nothing', () => {
  worker.says({ kind: 'upkeep', purged: 3, logTime: 5 });
  worker.says({ kind: 'upkeep', purged: 0, logTime: 6 });
  expect([client.purged, logTimes]).toEqual([3, [5, 6]]);
});

test.each([
  ['ends', () => worker.emit('exit', 3), 'the writer thread ended by itself, with code 3'],
  ['throws', () => worker.emit('error', new Error('no memory')) && worker.emit('exit', 1), 'no memory'],
])('a thread that %s leaves nobody waiting, is reported once, and can be closed', async (_what, end, why) => {
  const applied = client.apply([append]);
  const probed = client.probe();
  end();
  expect(fatal).toEqual([why]);
  expect(await applied).toMatchObject({ message: 'the log cannot be written', mayBeStored: true });
  await expect(probed).rejects.toThrow('the log cannot be written');
  expect(client.closed).toBe('the log cannot be written');
  expect(await client.apply([append])).toMatchObject({ mayBeStored: false });
  await expect(client.probe()).rejects.toThrow('the log cannot be written');
  await client.close();
});

test.each([
  ['throws', () => worker.emit('error', new Error('no such table')), 'no such table'],
  ['ends', () => worker.emit('exit', 1), 'the writer thread ended by itself, with code 1'],
])(
  'a thread that %s before it has opened the database fails the start, and nothing else',
  async (_what, end, why) => {
    const starting = new WriterClient(pino({ level: 'silent' }));
    worker = new FakeWorker();
    const events = {
      onFatal: () => fatal.push('fatal'),
      onReopened: () => undefined,
      onProposed: () => undefined,
      onUpkeep: () => undefined,
    };
    const opened = starting.open(worker as unknown as Worker, events);
    end();
    await expect(opened).rejects.toThrow(why);
    expect(fatal).toEqual([]);
  },
);
