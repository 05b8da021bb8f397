/**
 * Makes or downloads one snapshot: runs a job received by IPC, and sends the result. Ends with the process that started
 * it.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { Objm, type ObjectStore, StorageType } from '@nats-io/obj';
import { pino } from 'pino';
import type { NatsConfig } from '../config/nats.ts';
import {
  copyFile,
  copyReplica,
  lockCopy,
  removeCopy,
  type ReplicaCopy,
} from '../log/replica/replica-copy.ts';
import { StartError } from '../start-error.ts';
import { connectJetStream, type JetStreamLink } from './jetstream-link.ts';
import { readStream } from './stream-reader.ts';

/** The place of a snapshot: its cluster, its bucket and the database. */
interface Place {
  readonly nats: NatsConfig;
  /** The bucket of the snapshot. */
  readonly bucket: string;
  /** The database, without links. */
  readonly file: string;
}

/** A job that copies the database, uploads the copy, and reads it back. */
export interface MakeJob extends Place {
  readonly kind: 'make';
  readonly replicas: number;
  /** The generation that the copy begins; `undefined` if it stays in the current one. */
  readonly move: { readonly generation: number } | undefined;
}

/** A job that downloads a snapshot to a new file. */
export interface TakeJob extends Place {
  readonly kind: 'take';
  readonly target: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** The reply of a job: its result, or the reason why there is none. */
export type JobReply<T> = { readonly result: T } | { readonly fault: string };

/** The result of `MakeJob`. */
export interface MadeSnapshot extends ReplicaCopy {
  readonly sha256: string;
}

/** The name of the only object in a snapshot's bucket. */
const OBJECT = 'replica';

/** The number of bytes read at once, which become one message of NATS. */
const CHUNK_BYTES = 128 * 1024;

/** A transfer without progress for this time has failed. */
const STALLED_MILLISECONDS = 60_000;

/** The pause before an interrupted read is resumed. */
const AGAIN_MILLISECONDS = 250;

/** The scheduling priority: other processes on this machine go first. */
const NICE = 10;

/** A watchdog that ends a transfer that makes no progress. */
class Stall {
  /** Rejects when there has been no progress for too long. */
  readonly noticed: Promise<never>;
  readonly #timer: NodeJS.Timeout;
  readonly #aborted = new AbortController();
  #bytes = 0;

  /** @param what names the transfer, as the subject of a sentence */
  constructor(what: string) {
    let notice: (error: Error) => void;
    this.noticed = new Promise((_, reject) => (notice = reject));
    this.noticed.catch(() => undefined);
    this.#timer = setTimeout(() => {
      notice(new Error(`${what} has stopped after ${this.#bytes} bytes: NATS does not continue it`));
      this.#aborted.abort();
    }, STALLED_MILLISECONDS);
  }

  /** Aborted when `noticed` rejects. */
  get signal(): AbortSignal {
    return this.#aborted.signal;
  }

  progressed(bytes: number): void {
    this.#bytes += bytes;
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

async function make(job: MakeJob): Promise<MadeSnapshot> {
  const { file, move, bucket, replicas } = job;
  const lock = lockCopy(file);
  try {
    const copy = copyReplica(file, move);
    const sha256 = await withJetStream(job.nats, async (connected) => {
      const store = await new Objm(connected.client).create(bucket, { replicas, storage: StorageType.File });
      const sent = await upload(copyFile(file), store);
      const back = createHash('sha256');
      for await (const chunk of read(connected, bucket)) back.update(chunk);
      if (back.digest('hex') !== sent) throw new Error('NATS returns different bytes from those uploaded');
      return sent;
    });
    return { ...copy, sha256 };
  } finally {
    removeCopy(file);
    lock.release();
  }
}

/** Uploads a file. @returns its SHA-256 in hexadecimal digits */
async function upload(file: string, store: ObjectStore): Promise<string> {
  const sent = createHash('sha256');
  const stall = new Stall('the upload');
  try {
    await Promise.race([store.put({ name: OBJECT }, chunksOf(file, sent, stall)), stall.noticed]);
  } finally {
    stall.end();
  }
  return sent.digest('hex');
}

async function take({ nats, bucket, target, bytes, sha256 }: TakeJob): Promise<void> {
  await withJetStream(nats, async (connected) => {
    const file = await open(target, 'wx', 0o600);
    try {
      const hash = createHash('sha256');
      let size = 0;
      for await (const chunk of read(connected, bucket)) {
        hash.update(chunk);
        size += chunk.length;
        await file.writeFile(chunk);
      }
      if (size !== bytes || hash.digest('hex') !== sha256)
        throw new Error('NATS returns different bytes from those uploaded');
    } finally {
      await file.close();
    }
  });
}

/**
 * Reads the object in a bucket. After an interruption, resumes after the last part that arrived.
 *
 * @throws {Error} if the object is missing or incomplete, or nothing arrives for a minute
 */
async function* read(connected: JetStreamLink, bucket: string): AsyncGenerator<Uint8Array> {
  const store = await new Objm(connected.client).open(bucket);
  const info = await store.info(OBJECT);
  if (info === null) throw new Error('its bucket is empty');
  // The client's names for the stream of a bucket and for the subject of an object's parts.
  const [name, subject] = [`OBJ_${bucket}`, `$O.${bucket}.C.${info.nuid}`];
  const { state } = await connected.manager.streams.info(name, { subjects_filter: subject });
  let left = info.chunks;
  if ((state.subjects?.[subject] ?? 0) < left) throw new Error('NATS has lost a part of it');
  const stall = new Stall('the download');
  try {
    for (let after = 0; left > 0 && !stall.signal.aborted;) {
      try {
        for await (const { seq, data } of readStream(connected, name, { after, subject }, stall.signal)) {
          after = seq;
          left--;
          stall.progressed(data.length);
          yield data;
          if (left === 0) return;
        }
      } catch {
        // The connection was lost, or an election is running. Errors of the consumer are thrown outside this generator.
        await wait(AGAIN_MILLISECONDS);
      }
    }
    if (left > 0) await stall.noticed;
  } finally {
    stall.end();
  }
}

function chunksOf(file: string, hash: Hash, stall: Stall): ReadableStream<Uint8Array> {
  const chunks = createReadStream(file, { highWaterMark: CHUNK_BYTES })[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = (await chunks.next()) as IteratorResult<Buffer, undefined>;
        stall.progressed(value?.length ?? 0);
        if (done === true) {
          controller.close();
        } else {
          hash.update(value);
          controller.enqueue(value);
        }
      },
    },
    { highWaterMark: 0 },
  );
}

/** Runs a function with a connection, and then closes the connection. */
async function withJetStream<T>(
  config: NatsConfig,
  run: (connected: JetStreamLink) => Promise<T>,
): Promise<T> {
  const logger = pino({ level: 'silent' });
  const connected = await connectJetStream({ config, logger, signal: new AbortController().signal });
  if (connected === undefined) throw new Error('there is no connection');
  try {
    return await run(connected);
  } finally {
    await connected.link.close();
  }
}

/** Returns the reason of a failure, as the end of a sentence. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const code = String((error as { code?: unknown }).code);
  if (/^(SQLITE_FULL|ENOSPC|EDQUOT)$/.test(code)) return `its disk is full (${message}): make room there`;
  return error instanceof StartError ? message.replace(/\.$/, '') : message;
}

async function run(job: MakeJob | TakeJob): Promise<void> {
  let reply: JobReply<unknown>;
  try {
    if (job.kind === 'make') {
      reply = { result: await make(job) };
    } else {
      await take(job);
      reply = { result: undefined };
    }
  } catch (error) {
    reply = { fault: reasonOf(error) };
  }
  process.send?.(reply, () => process.exit(0));
}

setPriority(NICE);
process.once('disconnect', () => process.exit(1));
process.once('message', (job: MakeJob | TakeJob) => void run(job));
