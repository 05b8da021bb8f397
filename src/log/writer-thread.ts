/** The writer's thread: connects a `Writer` to its port, and lets upkeep run where no append waits. */
import { parentPort, workerData } from 'node:worker_threads';
import { type PackedDrafts, unpackDrafts } from './packed-drafts.ts';
import type { PushChange, PushEntry } from './push-store.ts';
import { UpkeepPace } from './upkeep-pace.ts';
import { reasonOf } from './write-gate.ts';
import { type Appended, Writer, type WriterOptions } from './writer.ts';

/** What the main thread asks. Requests are answered in order; each `append` waits for the answer to the one before. */
export type WriterRequest =
  | { readonly kind: 'append'; readonly batches: PackedDrafts }
  | { readonly kind: 'push'; readonly entries: readonly PushEntry[] }
  | { readonly kind: 'probe' }
  | { readonly kind: 'close' };

/** What the writer thread says. */
export type WriterReply =
  | { readonly kind: 'open' }
  | ({ readonly kind: 'appended' } & Appended)
  | { readonly kind: 'pushed'; readonly changes: readonly PushChange[] }
  | { readonly kind: 'probed' }
  | {
      readonly kind: 'failed';
      readonly request: 'append' | 'push' | 'probe' | 'upkeep';
      readonly reason: string;
      /** Whether what was to be written may be on disk all the same. */
      readonly mayBeStored: boolean;
    }
  | { readonly kind: 'purged'; readonly messages: number }
  /** From now on nothing is written, for this reason; `undefined`: it is written again. `head`: the highest id given. */
  | { readonly kind: 'gate'; readonly closed: string | undefined; readonly head: number };

const TICK_MILLISECONDS = 1000;

if (parentPort === null) throw new Error('writer-thread.ts is to be run as a worker thread');
const port = parentPort;
const writer = new Writer(workerData as WriterOptions);
const pace = new UpkeepPace(() => performance.now());
let planned: NodeJS.Timeout | NodeJS.Immediate | undefined;
/** Whether the last step of upkeep failed. It is tried every second, and to be told once. */
let upkeepFails = false;

const reply = (message: WriterReply): void => port.postMessage(message);

/** What was said last of whether the log is written. */
let closed: string | undefined;

/** Tells it when the log is no longer written, and when it is again. */
const tellGate = (): void => {
  if (writer.closed === closed) return;
  closed = writer.closed;
  reply({ kind: 'gate', closed, head: writer.head });
  // What fills the log may be purged at once.
  if (closed !== undefined) planUpkeep();
};

/** Plans a step for when the requests that wait are done, and appends had their share of the time. */
const planUpkeep = (): void => {
  const { pause } = pace;
  planned ??= pause === 0 ? setImmediate(keepUp) : setTimeout(keepUp, pause);
};

const keepUp = (): void => {
  planned = undefined;
  const began = performance.now();
  try {
    const { purged, more } = writer.upkeep(Date.now());
    upkeepFails = false;
    tellGate();
    if (purged > 0) reply({ kind: 'purged', messages: purged });
    pace.stepped(performance.now() - began);
    if (more) planUpkeep();
  } catch (error) {
    // Tried again at the next tick.
    tellGate();
    if (!upkeepFails && closed === undefined) {
      reply({ kind: 'failed', request: 'upkeep', reason: reasonOf(error), mayBeStored: false });
    }
    upkeepFails = true;
  }
};

const clock = setInterval(() => {
  writer.tick();
  tellGate();
  planUpkeep();
}, TICK_MILLISECONDS);

port.on('message', (request: WriterRequest) => {
  if (request.kind === 'close') {
    clearInterval(clock);
    clearImmediate(planned as NodeJS.Immediate | undefined);
    clearTimeout(planned as NodeJS.Timeout | undefined);
    writer.close();
    port.close();
    return;
  }
  try {
    if (request.kind === 'append') {
      reply({ kind: 'appended', ...writer.append(unpackDrafts(request.batches)) });
      pace.appended();
      planUpkeep();
    } else if (request.kind === 'push') {
      reply({ kind: 'pushed', changes: writer.applyPush(request.entries) });
    } else {
      writer.probe();
      reply({ kind: 'probed' });
    }
    tellGate();
  } catch (error) {
    tellGate();
    const mayBeStored = request.kind !== 'probe' && writer.mayBeStored;
    reply({ kind: 'failed', request: request.kind, reason: closed ?? reasonOf(error), mayBeStored });
  }
});

tellGate();
reply({ kind: 'open' });
