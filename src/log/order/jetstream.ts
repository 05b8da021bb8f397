import { setTimeout as wait } from 'node:timers/promises';
import {
  type DigestAt,
  type Entry,
  ENTRY_VERSION,
  markOf,
  type OrderedEntry,
  UnknownEntry,
} from '../entry.ts';
import { LogUnavailable } from '../message-log.ts';
import { CatchUp } from './catch-up.ts';
import { decodeEntry, encodedBytes, encodeEntry } from './entry-codec.ts';
import type { AppliedGroup, Delivered } from './applied-group.ts';
import { passBarrier } from './barrier.ts';
import { type EntryCounts, EntryRecord } from './entry-record.ts';
import type { JetStreamOrderOptions } from './jetstream-options.ts';
import { LagWatch } from './lag-watch.ts';
import { CUT_OFF, type OrderState } from './order-state.ts';
import type { EntryLimits, Order, Proposed } from './order.ts';
import { Proposals } from './proposals.ts';
import { Tail, TooFarBehind } from './tail.ts';

/** The bytes of the batches that share an entry. Larger entries make the stream slower, smaller ones as well. */
const GROUP_BYTES = 128 * 1024;

/** A node hears if an entry came within this time: one comes every two seconds. */
const HEARING_MILLISECONDS = 20_000;

/** The pause before entries that the disk did not take are applied again. */
const APPLY_AGAIN_MILLISECONDS = 250;

/** The line of the log about a node that does not follow any more; the error beside it says why. */
const LOST =
  'this node has stopped following the log of the cluster: it serves nobody until it is mended and started again';

/**
 * The order of a cluster: a durable stream that all nodes append to and follow. What a node applies is what the stream
 * brings back, never what it appended: so all nodes apply the same entries in the same order. A publish is answered when
 * its own entry has come back and is applied, on this node's disk.
 */
export class JetStreamOrder implements Order {
  readonly limits: EntryLimits;
  readonly #options: JetStreamOrderOptions;
  readonly #proposals: Proposals;
  readonly #tail: Tail;
  /** When an entry came last, or the stream was found, on the clock of `performance.now()`. */
  #heardAt = -Infinity;
  #deliver: (group: AppliedGroup) => Delivered = () => ({ answers: [], handedOn: undefined });
  /** The sequences of the newest entries that are handed on, and applied. */
  #through: number;
  #applied = 0;
  readonly #catchUp: CatchUp;
  readonly #lag: LagWatch;
  /** Why this node does not follow any more. */
  #lost: Error | undefined;
  #applying: Promise<void> | undefined;
  /** The newest group that is being handed on. */
  #handingOn: Promise<unknown> | undefined;
  #isClosed = false;
  readonly #record = new EntryRecord();

  constructor(options: JetStreamOrderOptions) {
    this.#options = options;
    const { stream, address, after, times = {}, onFatal } = options;
    this.#through = after;
    this.#catchUp = new CatchUp(() => this.#end(), after, times.catchUp);
    this.#lag = new LagWatch(this.#catchUp);
    this.limits = { groupBytes: GROUP_BYTES, batchBytes: stream.maxBytes, bytesOf: encodedBytes };
    this.#proposals = new Proposals(
      (source, entry) => encodeEntry(address, source, entry),
      stream,
      times.settle,
    );
    this.#tail = new Tail({
      ...options,
      doubtMilliseconds: times.doubt,
      markOf: ({ time, bytes }) => markOf({ time, ...decodeEntry(address, bytes) }),
      onFound: () => (this.#heardAt = performance.now()),
      onArrival: () => this.#arrived(),
      onFatal: (error) => (error instanceof TooFarBehind ? onFatal(error) : this.lose(error)),
    });
  }

  /**
   * Begins to follow the stream.
   *
   * @param deliver called with each group that was applied, in order
   */
  start(deliver: (group: AppliedGroup) => Delivered): void {
    this.#deliver = deliver;
    this.#tail.start();
    this.#lag.start();
  }

  /** Whether entries come: what others publish, or at least that time passes. */
  get hears(): boolean {
    const { hearing = HEARING_MILLISECONDS } = this.#options.times ?? {};
    return this.silence < hearing;
  }

  /** Milliseconds since an entry came last, or the stream was found. */
  get silence(): number {
    return performance.now() - this.#heardAt;
  }

  get state(): OrderState {
    if (this.#lost !== undefined) return 'lost';
    if (!this.hears) return this.#heardAt === -Infinity ? 'joining' : 'deaf';
    if (!this.#lag.hasCaughtUp) return 'joining';
    return this.#lag.lags ? 'lagging' : 'following';
  }

  /** Why this node does not follow any more, for an operator; `undefined` while it does. */
  get lost(): Error | undefined {
    return this.#lost;
  }

  /** The sequence of the newest entry that is applied and handed on. */
  get through(): number {
    return this.#through;
  }

  get cutOff(): string | undefined {
    return CUT_OFF[this.state];
  }

  get refusing(): string | undefined {
    return (
      this.cutOff ??
      (this.#tail.isDoubting ? 'this node looks whether the log is the one it knows' : undefined)
    );
  }

  get unready(): string | undefined {
    return this.cutOff ?? (this.state === 'lagging' ? 'this node lags behind the others' : undefined);
  }

  /**
   * Stops following, since what this node has, or reads, is not what the others have. The node stays cut off until the process
   * starts again. Logs what an operator has to know, once: does nothing a second time.
   *
   * @param reason its message says what was seen and what to do
   */
  lose(reason: Error): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    this.#options.logger.fatal({ err: reason }, LOST);
    this.#catchUp.end();
    this.#lag.close();
    this.#tail.close();
  }

  /** The newest digests since the start, the oldest first. */
  get digests(): readonly DigestAt[] {
    return this.#record.digests;
  }

  get counts(): EntryCounts {
    const { applied, nothing } = this.#record;
    return { applied, nothing, retried: this.#proposals.retried };
  }

  propose(entry: Entry): Promise<Proposed | LogUnavailable> {
    return this.#proposals.propose(entry);
  }

  caughtUp(): Promise<void> {
    return this.#catchUp.wait();
  }

  /** As `caughtUp`, but takes as long as it needs. @throws {LogBehind} if the signal is aborted before */
  async caughtUpUntil(signal: AbortSignal): Promise<void> {
    return this.#catchUp.reach(await this.#end(), signal);
  }

  get handedOn(): Promise<unknown> | undefined {
    return this.#handingOn;
  }

  seal(): void {
    this.#proposals.hurry();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#proposals.close();
    this.#lag.close();
    this.#catchUp.end();
    this.#tail.close();
    await this.#applying;
    await this.#handingOn;
  }

  #arrived(): void {
    // It has missed what came in the meantime.
    if (!this.hears) this.#lag.restart();
    this.#heardAt = performance.now();
    // A failure here must not be passed over: the node would only seem to follow.
    this.#applying ??= this.#applyArrived().catch((error: unknown) => this.lose(error as Error));
  }

  /** Applies group after group until nothing waits. The next one is written while one is handed on. */
  async #applyArrived(): Promise<void> {
    let group = this.#apply();
    while (group !== undefined) {
      const applied = await group;
      if (applied === undefined) return;
      // Nobody has to be told of these, so they wait for no listener.
      this.#proposals.settleGroup(applied, ({ kind }) => kind !== 'append');
      await this.#handingOn;
      const next = this.#apply();
      this.#handingOn = this.#handOn(applied);
      group = next ?? this.#apply();
    }
    this.#applying = undefined;
  }

  /** Applies what has arrived. Returns `undefined` if nothing has. */
  #apply(): Promise<AppliedGroup | undefined> | undefined {
    if (this.#lost !== undefined) return undefined;
    const { address } = this.#options;
    let newer: number | undefined;
    const entries = this.#tail.take().map(({ sequence, time, bytes }): OrderedEntry => {
      const { entry, source } = decodeEntry(address, bytes);
      if (entry.v > ENTRY_VERSION) newer = entry.v;
      if (source === undefined) return { entry, time, sequence };
      this.#proposals.arrived(source, sequence, bytes);
      return { entry, time, sequence, source };
    });
    if (newer !== undefined) {
      this.lose(new UnknownEntry(newer));
      return undefined;
    }
    return entries.length === 0 ? undefined : this.#applyUntilDone(entries);
  }

  /** Applies entries, again and again while the disk does not take them: none may be skipped. */
  async #applyUntilDone(entries: readonly OrderedEntry[]): Promise<AppliedGroup | undefined> {
    for (;;) {
      const applied = await this.#options.replica.apply(entries);
      if (!(applied instanceof LogUnavailable)) {
        this.#applied = entries.at(-1)?.sequence ?? this.#applied;
        return { ...applied, entries };
      }
      if (this.#isClosed) return undefined;
      await wait(APPLY_AGAIN_MILLISECONDS);
    }
  }

  /** Returns the sequence of an entry that was placed after this call. @throws {LogUnavailable} if none can be */
  async #end(): Promise<number> {
    await passBarrier(this);
    return this.#applied;
  }

  #handOn(group: AppliedGroup): Promise<unknown> | undefined {
    const { answers, handedOn } = this.#deliver(group);
    this.#record.note(group);
    this.#proposals.settleGroup(group, ({ kind }) => kind === 'append', answers);
    this.#through = group.entries.at(-1)?.sequence ?? this.#through;
    this.#catchUp.reached(this.#through);
    return handedOn;
  }
}
