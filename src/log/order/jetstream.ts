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

/** The maximum size of batches that share an entry. Both larger and smaller entries slow the stream down. */
const GROUP_BYTES = 128 * 1024;

/** A node counts as hearing the stream if an entry arrived within this time. One arrives at least every two seconds. */
const HEARING_MILLISECONDS = 20_000;

/** The pause before entries are applied again that the disk did not accept. */
const APPLY_AGAIN_MILLISECONDS = 250;

/** The log line about a node that has stopped following; the error logged with it says why. */
const LOST =
  'this node has stopped following the log of the cluster: it serves nobody until it is repaired and restarted';

/**
 * The order of a cluster: a durable stream that all nodes append to and follow. A node applies only what the stream
 * delivers, never directly what it appended, so all nodes apply the same entries in the same order. A publish is
 * answered once its entry has come back from the stream and is applied and on this node's disk.
 */
export class JetStreamOrder implements Order {
  readonly limits: EntryLimits;
  readonly #options: JetStreamOrderOptions;
  readonly #proposals: Proposals;
  readonly #tail: Tail;
  /** The `performance.now()` at which the last entry arrived, or the stream was found. */
  #heardAt = -Infinity;
  #deliver: (group: AppliedGroup) => Delivered = () => ({ answers: [], handedOn: undefined });
  /** The sequence of the newest entry that was delivered. */
  #through: number;
  /** The sequence of the newest entry that was applied. */
  #applied = 0;
  readonly #catchUp: CatchUp;
  readonly #lag: LagWatch;
  /** Why this node has stopped following. */
  #lost: Error | undefined;
  #applying: Promise<void> | undefined;
  /** Settles when the newest group has been delivered. */
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
   * Starts following the stream.
   *
   * @param deliver called with each applied group, in order
   */
  start(deliver: (group: AppliedGroup) => Delivered): void {
    this.#deliver = deliver;
    this.#tail.start();
    this.#lag.start();
  }

  /** Whether entries arrive: published messages, or at least ticks. */
  get hears(): boolean {
    const { hearing = HEARING_MILLISECONDS } = this.#options.times ?? {};
    return this.silence < hearing;
  }

  /** The milliseconds since the last entry arrived or the stream was found. */
  get silence(): number {
    return performance.now() - this.#heardAt;
  }

  get state(): OrderState {
    if (this.#lost !== undefined) return 'lost';
    if (!this.hears) return this.#heardAt === -Infinity ? 'joining' : 'deaf';
    if (!this.#lag.hasCaughtUp) return 'joining';
    return this.#lag.lags ? 'lagging' : 'following';
  }

  /** Why this node has stopped following, for an operator; `undefined` while it follows. */
  get lost(): Error | undefined {
    return this.#lost;
  }

  /** The sequence of the newest entry that was applied and delivered. */
  get through(): number {
    return this.#through;
  }

  get cutOff(): string | undefined {
    return CUT_OFF[this.state];
  }

  get refusing(): string | undefined {
    return (
      this.cutOff ??
      (this.#tail.isDoubting ? 'this node is checking whether the log is the one it knows' : undefined)
    );
  }

  get unready(): string | undefined {
    return this.cutOff ?? (this.state === 'lagging' ? 'this node lags behind the others' : undefined);
  }

  /**
   * Stops following, because this node's data, or what it reads, differs from what the others have. The node stays cut
   * off until the process is restarted. Logs the reason for the operator. Does nothing if called again.
   *
   * @param reason an error whose message says what was found and what to do
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

  /** Waits like `caughtUp`, but without a time limit. @throws {LogBehind} if the signal is aborted first */
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
    // The node has missed entries in the meantime.
    if (!this.hears) this.#lag.restart();
    this.#heardAt = performance.now();
    // A failure here must not be ignored: the node would only seem to follow.
    this.#applying ??= this.#applyArrived().catch((error: unknown) => this.lose(error as Error));
  }

  /**
   * Applies group after group until nothing waits. Each group is written while the one before it is being delivered.
   */
  async #applyArrived(): Promise<void> {
    let group = this.#apply();
    while (group !== undefined) {
      const applied = await group;
      if (applied === undefined) return;
      // No subscriber is told of these, so they need not wait for listeners.
      this.#proposals.settleGroup(applied, ({ kind }) => kind !== 'append');
      await this.#handingOn;
      const next = this.#apply();
      this.#handingOn = this.#handOn(applied);
      group = next ?? this.#apply();
    }
    this.#applying = undefined;
  }

  /** Applies the arrived entries. Returns `undefined` if there are none. */
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

  /** Applies entries, retrying while the disk does not accept them: none may be skipped. */
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

  /** Returns the sequence of an entry placed after this call. @throws {LogUnavailable} if none gets a place */
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
