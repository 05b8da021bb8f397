/** The writer's thread: connects a `Writer` to its port, and lets upkeep run where no append waits. */
import { parentPort, workerData } from 'node:worker_threads';
import { type PackedDrafts, unpackDrafts } from './packed-drafts.ts';
import type { PushChange, PushEntry } from './push-store.ts';
import { UpkeepPace } from './upkeep-pace.ts';
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
    }
  | { readonly kind: 'purged'; readonly messages: number };

const TICK_MILLISECONDS = 1000;

if (parentPort === null) throw new Error('writer-thread.ts is to be run as a worker thread');
const port = parentPort;
const writer = new Writer(workerData as WriterOptions);
const pace = new UpkeepPace(() => performance.now());
let planned: NodeJS.Timeout | NodeJS.Immediate | undefined;
/** Whether the last step of upkeep failed. It is tried every second, and to be told once. */
let upkeepFails = false;

const reply = (message: WriterReply): void => port.postMessage(message);

const reasonOf = (error: unknown): string => {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return `${String(code)}: ${String(message)}`;
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
    if (purged > 0) reply({ kind: 'purged', messages: purged });
    pace.stepped(performance.now() - began);
    if (more) planUpkeep();
  } catch (error) {
    // Tried again at the next tick.
    if (!upkeepFails) reply({ kind: 'failed', request: 'upkeep', reason: reasonOf(error) });
    upkeepFails = true;
  }
};

const clock = setInterval(() => {
  writer.tick();
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
  } catch (error) {
    reply({ kind: 'failed', request: request.kind, reason: reasonOf(error) });
  }
});

reply({ kind: 'open' });
