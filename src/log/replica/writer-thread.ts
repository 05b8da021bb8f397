/** The writer thread: connects a `Writer` to its port, and runs upkeep while no entry waits. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Retention } from '../retention.ts';
import type { UpkeepEntry } from './dry-runs.ts';
import { packApplied, type PackedApplied, type PackedEntry, unpackEntry } from './packed-entry.ts';
import { throwingAcross } from './thread-error.ts';
import { UpkeepPace } from './upkeep-pace.ts';
import { reasonOf } from './write-gate.ts';
import { Writer, type WriterOptions } from './writer.ts';

/**
 * A request from the main thread: a list of entries to apply in one transaction, or another request. They are answered
 * in order.
 */
export type WriterRequest =
  | readonly PackedEntry[]
  | { readonly kind: 'probe' }
  | { readonly kind: 'close' }
  /** Makes upkeep propose what this retention removes, or nothing if it is `undefined`. There is no reply. */
  | { readonly kind: 'retain'; readonly retention: Retention | undefined }
  /** Says that the purge with this origin may never come back. There is no reply. */
  | { readonly kind: 'unproposed'; readonly origin: string };

/** A message from the writer thread: the outcome of applied entries, or another message. */
export type WriterReply =
  | PackedApplied
  | { readonly kind: 'open' }
  | { readonly kind: 'probed' }
  | {
      readonly kind: 'failed';
      readonly request: 'apply' | 'probe' | 'upkeep';
      readonly reason: string;
      /** Whether the write may be on disk nevertheless. */
      readonly mayBeStored: boolean;
    }
  /** Upkeep applied entries: the number of messages it purged, and the time of the newest entry. */
  | { readonly kind: 'upkeep'; readonly purged: number; readonly logTime: number }
  /** Upkeep proposes an entry to the order of a cluster. */
  | { readonly kind: 'propose'; readonly entry: UpkeepEntry }
  /** The gate has closed for this reason, or opened (`undefined`). `head` is the highest assigned id. */
  | { readonly kind: 'gate'; readonly closed: string | undefined; readonly head: number };

const TICK_MILLISECONDS = 1000;

if (parentPort === null) throw new Error('writer-thread.ts must be run as a worker thread');
const port = parentPort;
const writer = throwingAcross(
  () => new Writer(workerData as WriterOptions, (entry) => reply({ kind: 'propose', entry })),
)();
const pace = new UpkeepPace(() => performance.now());
let planned: NodeJS.Timeout | NodeJS.Immediate | undefined;
/** Whether the last step of upkeep failed. It is retried every second, but the failure is reported once. */
let upkeepFails = false;

const reply = (message: WriterReply): void => port.postMessage(message);

/** The last reported reason why the log is not written; `undefined` while it is. */
let closed: string | undefined;

/** Reports when the gate has closed or opened. Does nothing if it has not. */
const reportGate = (): void => {
  if (writer.closed === closed) return;
  closed = writer.closed;
  reply({ kind: 'gate', closed, head: writer.head });
  // Let upkeep make room at once.
  if (closed !== undefined) planUpkeep();
};

/** Schedules a step of upkeep, after the waiting requests and a pause that leaves appends their share of the time. */
const planUpkeep = (): void => {
  const { pause } = pace;
  planned ??= pause === 0 ? setImmediate(keepUp) : setTimeout(keepUp, pause);
};

const keepUp = (): void => {
  planned = undefined;
  const began = performance.now();
  try {
    const { purged, logTime, more } = writer.upkeep(Date.now());
    upkeepFails = false;
    reportGate();
    if (logTime !== undefined) reply({ kind: 'upkeep', purged, logTime });
    pace.stepped(performance.now() - began);
    if (more) planUpkeep();
  } catch (error) {
    // The next tick tries again.
    reportGate();
    if (!upkeepFails && closed === undefined) {
      reply({ kind: 'failed', request: 'upkeep', reason: reasonOf(error), mayBeStored: false });
    }
    upkeepFails = true;
  }
};

const tick = throwingAcross(() => {
  writer.tick();
  reportGate();
  planUpkeep();
});
const clock = setInterval(tick, TICK_MILLISECONDS);

const answer = throwingAcross((request: WriterRequest) => {
  if ('kind' in request && request.kind === 'close') {
    clearInterval(clock);
    clearImmediate(planned as NodeJS.Immediate | undefined);
    clearTimeout(planned as NodeJS.Timeout | undefined);
    writer.close();
    port.close();
    return;
  }
  if ('kind' in request && request.kind !== 'probe') {
    if (request.kind === 'retain') writer.retain(request.retention);
    else writer.unproposed(request.origin);
    planUpkeep();
    return;
  }
  try {
    if ('kind' in request) {
      writer.probe();
      reply({ kind: 'probed' });
    } else {
      const entries = request.map(unpackEntry);
      reply(packApplied(writer.apply(entries)));
      const appends = entries.some(({ entry }) => entry.kind === 'append');
      if (appends) pace.appended();
      // A purge of this node may have come back, so look for the next one.
      if ((appends || entries.some(({ entry }) => entry.kind === 'purge')) && writer.isUpkeepDue)
        planUpkeep();
    }
    reportGate();
  } catch (error) {
    reportGate();
    const kind = 'kind' in request ? 'probe' : 'apply';
    const mayBeStored = kind === 'apply' && writer.mayBeStored;
    reply({ kind: 'failed', request: kind, reason: closed ?? reasonOf(error), mayBeStored });
  }
});
port.on('message', answer);

reportGate();
reply({ kind: 'open' });
