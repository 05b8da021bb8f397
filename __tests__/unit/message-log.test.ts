import { copyFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import { pino } from 'pino';
import { newEpoch } from '../../src/log/cursor.ts';
import { entryOf } from '../../src/log/entry.ts';
import type { openLocalLog as Open } from '../../src/log/open-local-log.ts';
import { encodeEntry } from '../../src/log/order/entry-codec.ts';
import { openForWriting } from '../../src/log/replica/database.ts';
import { prepareProjection } from '../../src/log/replica/projection.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { MemoryStream } from '../support/memory-stream.ts';
import { describeMessageLog, type LogFactory } from '../support/message-log-contract.ts';
import { BUNDLE, cleanUp, newFolder } from '../support/server.ts';
import { until } from '../support/until.ts';

afterAll(cleanUp);

/** The built one, bundled: its writer is a thread of its own. */
const built = join(BUNDLE, 'dist/log/open-local-log.js');

const inFile: LogFactory = {
  setsTime: true,
  isLocal: true,
  async open({ now, retention, from }) {
    const { openLocalLog } = (await import(built)) as { openLocalLog: typeof Open };
    const file = join(newFolder(), 'tidings.sqlite');
    if (typeof from === 'string') copyFileSync(from, file);
    // A reserve of the size that it would have, so that not each test has the disk write 16 MiB.
    writeFileSync(`${file}-reserve`, '');
    truncateSync(`${file}-reserve`, 16 * 1024 * 1024);
    const log = await openLocalLog({
      file,
      retention,
      keepsCopy: true,
      logger: pino({ level: 'silent' }),
      now,
      onFatal: (error) => {
        throw error;
      },
    });
    return {
      log,
      settle() {
        project(file);
        return Promise.resolve();
      },
      async save() {
        await log.close();
        return file;
      },
    };
  },
};

/** Brings conversations up to date, as the thread of the writer does about once a second. */
function project(file: string): void {
  const database = openForWriting(file);
  database.transaction(prepareProjection(database)).immediate(Infinity);
  database.close();
}

const inMemory: LogFactory = {
  setsTime: true,
  isLocal: true,
  open({ from, ...options }) {
    const memory = new MemoryLog({ ...options, from: from as Buffer | undefined });
    return Promise.resolve({
      log: memory.log,
      settle() {
        memory.keepUp();
        return Promise.resolve();
      },
      save: () => memory.close(),
    });
  },
};

/** Its order is a stream that another node follows as well. What retention does on a cluster is tested with its nodes. */
const onStream: LogFactory = {
  setsTime: true,
  isLocal: false,
  async open({ from, ...options }) {
    const saved = from as { database: Buffer; stream: MemoryStream } | undefined;
    const stream = saved?.stream ?? newStream(options.now);
    const memory = new MemoryLog({ ...options, stream, from: saved?.database });
    const other = new MemoryLog({ ...options, stream });
    await until(() => memory.log.refusing === undefined, 'the stream');
    return {
      log: memory.log,
      settle() {
        memory.keepUp();
        return Promise.resolve();
      },
      async save() {
        await other.close();
        return { database: await memory.close(), stream };
      },
    };
  },
};

/** Returns a stream as the beginning of a cluster makes it. */
function newStream(now: () => number): MemoryStream {
  const stream = new MemoryStream(now);
  const epoch = entryOf({ kind: 'epoch', epoch: newEpoch() });
  stream.put(encodeEntry(stream, { proposer: 'init', counter: 1 }, epoch));
  return stream;
}

describeMessageLog('a log in a file, with a local order', inFile);
describeMessageLog('a log in memory, with a local order', inMemory);
describeMessageLog('a log in memory, with the order of a stream', onStream);
