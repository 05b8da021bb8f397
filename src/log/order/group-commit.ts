import type { Draft } from '../../message.ts';
import type { Answer } from '../answers.ts';
import { type AppendsOutcome, entryOf } from '../entry.ts';
import { BatchRefused, BatchTooLarge, LogUnavailable, type Stored } from '../message-log.ts';
import type { Order, Proposed } from './order.ts';
import { weightOf } from './weight.ts';

/** The maximum number of messages in a group, so that nobody waits for a giant commit. */
const GROUP_MESSAGES = 2048;

/** Publishes are refused while messages not yet on disk take more memory than this: the disk may hang. */
export const WAITING_BYTES = 64 * 1024 * 1024;
const GROUP_BYTES = 8 * 1024 * 1024;

/** The reason why nothing more is accepted, in words fit for a client. */
export const FULL = 'too much is waiting to be stored';

/** A group of batches that has its place in the order and is on disk. */
export interface Commit {
  readonly batches: readonly (readonly Draft[])[];
  readonly outcome: AppendsOutcome;
  /** The answers, if the order has already delivered the stored messages. */
  readonly handedOn: readonly Answer[] | undefined;
  /** The time of the entry, in milliseconds since the Unix epoch. */
  readonly time: number;
  /** See `CommitTimes`. */
  readonly waitSeconds: number;
  readonly seconds: number;
  readonly syncSeconds: number;
}

/** The answers to the batches of a group, and the progress of delivering their messages. */
export interface Settled {
  /** One per batch, in order. */
  readonly answers: readonly Answer[];
  /** Settles when the next commit may be delivered. `undefined` if that is at once. */
  readonly handedOn: Promise<unknown> | undefined;
}

/** A batch and its publisher. */
interface Waiting {
  /** Its size in memory, in bytes. */
  readonly bytes: number;
  /** Its size in an entry, in bytes. */
  readonly size: number;
  readonly batch: readonly Draft[];
  readonly resolve: (stored: Stored[]) => void;
  readonly reject: (error: Error) => void;
}

/** A group on its way to the disk. */
interface Group {
  readonly waiting: readonly Waiting[];
  /** The `performance.now()` at which its oldest batch arrived. */
  readonly since: number;
  readonly proposed: Promise<Proposed | LogUnavailable>;
}

/**
 * The queue in front of the order: while one group of batches is made durable, the next one gathers here. A burst
 * shares a commit, and a lone batch does not wait.
 */
export class GroupCommit {
  /** Groups that could not be stored. */
  failures = 0;
  readonly #order: Pick<Order, 'propose' | 'limits'>;
  readonly #settle: (commit: Commit) => Settled;
  readonly #maxWaitingBytes: number;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /**
   * The `performance.now()` at which the oldest waiting batch arrived, or an earlier time if only part of the queue has
   * left.
   */
  #waitingSince = 0;
  #committing: Promise<void> | undefined;
  /** Settles when the newest group has been delivered. */
  #handingOn: Promise<unknown> | undefined;

  /**
   * @param settle delivers a commit, and returns the answers for its publishers
   * @param maxWaitingBytes how much memory waiting messages may take before the queue is full
   */
  constructor(
    order: Pick<Order, 'propose' | 'limits'>,
    settle: (commit: Commit) => Settled,
    maxWaitingBytes = WAITING_BYTES,
  ) {
    this.#order = order;
    this.#settle = settle;
    this.#maxWaitingBytes = maxWaitingBytes;
  }

  /** Whether the queue is full, so that nothing more is accepted for now. */
  get isFull(): boolean {
    return this.#waitingBytes > this.#maxWaitingBytes;
  }

  /**
   * Stores a batch: all of it in order, or nothing.
   *
   * @returns each draft as it is in the log, once it is on disk and being delivered
   * @throws {BatchRefused} if one of its drafts contradicts the log
   * @throws {BatchTooLarge} if the batch is too large for one entry
   * @throws {LogUnavailable} if the log cannot be written, or the queue is full
   */
  append(batch: readonly Draft[]): Promise<Stored[]> {
    if (this.isFull) return Promise.reject(new LogUnavailable(FULL));
    const bytes = weightOf(batch);
    const { limits } = this.#order;
    const size = limits?.bytesOf(batch) ?? bytes;
    if (limits !== undefined && size > limits.batchBytes)
      return Promise.reject(new BatchTooLarge(size, limits.batchBytes));
    this.#waitingBytes += bytes;
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) this.#waitingSince = performance.now();
      this.#waiting.push({ batch, bytes, size, resolve, reject });
      this.#committing ??= this.#commitWaiting();
    });
  }

  /** Waits until the queue is empty and everything in it has been delivered. */
  async idle(): Promise<void> {
    await this.#committing;
    await this.#handingOn;
  }

  /**
   * Commits group after group until nothing waits. A group is settled once the one before it has been delivered. This
   * bounds the number of messages on the way to subscribers, and slows publishers down to the pace of delivery.
   */
  async #commitWaiting(): Promise<void> {
    let group = this.#propose();
    while (group !== undefined) {
      const { waiting, since, proposed } = group;
      let commit: Commit | Error;
      try {
        commit = commitOf(waiting, since, await proposed);
        if (this.#handingOn !== undefined) await this.#handingOn;
      } catch (error) {
        commit = error as Error;
      }
      // Write the next group while this one is fanned out.
      group = this.#propose();
      this.#answer(waiting, commit);
      group ??= this.#propose();
    }
    this.#committing = undefined;
  }

  /** Proposes the waiting batches that fit into one group. Returns `undefined` if nothing waits. */
  #propose(): Group | undefined {
    if (this.#waiting.length === 0) return undefined;
    let messages = 0;
    let bytes = 0;
    const maxBytes = this.#order.limits?.groupBytes ?? GROUP_BYTES;
    const end = this.#waiting.findIndex((waiting) => {
      messages += waiting.batch.length;
      bytes += waiting.size;
      return messages > GROUP_MESSAGES || bytes > maxBytes;
    });
    const waiting = this.#waiting.splice(0, end === -1 ? this.#waiting.length : Math.max(end, 1));
    const batches = waiting.map(({ batch }) => batch);
    const proposed = this.#order.propose(entryOf({ kind: 'append', batches }));
    return { waiting, since: this.#waitingSince, proposed };
  }

  #answer(waiting: readonly Waiting[], commit: Commit | Error): void {
    for (const { bytes } of waiting) this.#waitingBytes -= bytes;
    if (commit instanceof Error) {
      this.failures++;
      for (const { reject } of waiting) reject(commit);
      return;
    }
    const { answers, handedOn } =
      commit.handedOn === undefined
        ? this.#settle(commit)
        : { answers: commit.handedOn, handedOn: undefined };
    if (handedOn !== undefined) this.#handingOn = handedOn;
    for (const [index, { resolve, reject }] of waiting.entries()) {
      const answer = answers[index] as Answer;
      if (answer instanceof BatchRefused) reject(answer);
      else resolve(answer);
    }
  }
}

/** Returns a group as it is on disk, or the reason why it is not. @throws {Error} if the outcome is not of an append */
function commitOf(
  waiting: readonly Waiting[],
  since: number,
  proposed: Proposed | LogUnavailable,
): Commit | LogUnavailable {
  if (proposed instanceof LogUnavailable) return proposed;
  const { outcome, answers: handedOn, time, seconds, syncSeconds } = proposed;
  if (outcome.kind !== 'append') throw new Error(`an append has the outcome of a ${outcome.kind}`);
  const waitSeconds = (performance.now() - since) / 1000;
  const batches = waiting.map(({ batch }) => batch);
  return { batches, outcome, handedOn, time, waitSeconds, seconds, syncSeconds };
}
