import { type Draft, type Message, withId } from '../message.ts';
import type { AppendResult, Placement } from './append.ts';
import { BatchRefused, type CommitTimes, LogUnavailable, type Stored } from './message-log.ts';
import { weightOf } from './weight.ts';
import type { Appended } from './writer.ts';
import type { WriterClient } from './writer-client.ts';

/** The messages that wait are stored in groups of at most this many, so that no one waits for a giant commit. */
const GROUP_MESSAGES = 2048;

/** Past so much memory for what is not on disk yet (the disk hangs, say), publishes are refused for now. */
const WAITING_BYTES = 64 * 1024 * 1024;
const GROUP_BYTES = 8 * 1024 * 1024;

/** Why nothing more is taken, in words for a client. */
export const FULL = 'too much is waiting to be stored';

interface Waiting {
  /** What it takes in memory. */
  readonly bytes: number;
  readonly batch: readonly Draft[];
  readonly resolve: (stored: Stored[]) => void;
  readonly reject: (error: Error) => void;
}

/** What is told of each group that is on disk. */
export interface GroupCommitEvents {
  /**
   * Messages that are new, in id order, at least one; before their publishers get an answer.
   *
   * @returns settles when the next may come
   */
  onStored(fresh: readonly Message[]): Promise<unknown>;
  /** How long it took; only of a group that stored something. */
  onTimed(times: CommitTimes): void;
}

/**
 * The queue before the writer thread: while that makes one group of batches durable, the next gathers here. A burst
 * shares a commit, and a lone batch waits for nobody.
 */
export class GroupCommit {
  /** Batches that stored at least one message. */
  stored = 0;
  /** Batches in which nothing was new. */
  repeated = 0;
  /** Messages stored. */
  messages = 0;
  /** Groups that stored at least one message. */
  commits = 0;
  /** Groups that could not be stored. */
  failures = 0;
  readonly #writer: WriterClient;
  readonly #events: GroupCommitEvents;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** When the oldest that waits came, on the clock of `performance.now()`; no later than that where only a part left. */
  #waitingSince = 0;
  #committing: Promise<void> | undefined;
  /** The newest group that is being handed on. */
  #handingOn: Promise<unknown> | undefined;

  constructor(writer: WriterClient, events: GroupCommitEvents) {
    this.#writer = writer;
    this.#events = events;
  }

  /** Whether so much waits that nothing more is taken for now. */
  get isFull(): boolean {
    return this.#waitingBytes > WAITING_BYTES;
  }

  /**
   * Stores a batch: all of it in order, or nothing.
   *
   * @returns for each draft where it came to stand, when it is on disk and `onStored` has returned
   * @throws {BatchRefused} where one of its drafts contradicts the log
   * @throws {LogUnavailable} where the log cannot be written, or too much waits for it
   */
  append(batch: readonly Draft[]): Promise<Stored[]> {
    if (this.isFull) return Promise.reject(new LogUnavailable(FULL));
    const bytes = weightOf(batch);
    this.#waitingBytes += bytes;
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) this.#waitingSince = performance.now();
      this.#waiting.push({ batch, bytes, resolve, reject });
      this.#committing ??= this.#commitWaiting();
    });
  }

  /** Settles when nothing waits any more and all is handed on; at once if that is so. */
  async idle(): Promise<void> {
    await this.#committing;
    await this.#handingOn;
  }

  /**
   * Commits group after group until nothing waits. A group is settled when the one before it is handed on: so what is on
   * its way to devices is bounded, and publishers go no faster than that.
   */
  async #commitWaiting(): Promise<void> {
    let commit = this.#nextCommit();
    while (commit !== undefined) {
      const { group, since, outcome } = commit;
      const settled = await outcome;
      await this.#handingOn;
      // The writer goes on with the next group while this one is fanned out.
      commit = this.#nextCommit();
      this.#settle(group, since, settled);
      commit ??= this.#nextCommit();
    }
    this.#committing = undefined;
  }

  #nextCommit():
    { group: Waiting[]; since: number; outcome: Promise<Appended | LogUnavailable> } | undefined {
    if (this.#waiting.length === 0) return undefined;
    let messages = 0;
    let bytes = 0;
    const end = this.#waiting.findIndex((waiting) => {
      messages += waiting.batch.length;
      bytes += waiting.bytes;
      return messages > GROUP_MESSAGES || bytes > GROUP_BYTES;
    });
    const group = this.#waiting.splice(0, end === -1 ? this.#waiting.length : Math.max(end, 1));
    const outcome = this.#writer.append(group.map(({ batch }) => batch));
    return { group, since: this.#waitingSince, outcome };
  }

  #settle(group: readonly Waiting[], since: number, outcome: Appended | LogUnavailable): void {
    for (const { bytes } of group) this.#waitingBytes -= bytes;
    if (outcome instanceof LogUnavailable) {
      this.failures++;
      for (const { reject } of group) reject(outcome);
      return;
    }
    const waitSeconds = (performance.now() - since) / 1000;
    const fresh: Message[] = [];
    const answers = group.map(({ batch }, index): Stored[] | BatchRefused => {
      const result = outcome.results[index] as AppendResult;
      if (!isPlaced(result)) return new BatchRefused(result);
      const before = fresh.length;
      const stored = batch.map((draft, place) => {
        const answer = storedAs(draft, result[place] as Placement);
        if (answer.isNew) fresh.push(answer.message);
        return answer;
      });
      if (fresh.length > before) this.stored++;
      else this.repeated++;
      return stored;
    });
    if (fresh.length > 0) {
      this.messages += fresh.length;
      this.commits++;
      const { seconds, syncSeconds } = outcome;
      this.#events.onTimed({ messages: fresh.length, waitSeconds, seconds, syncSeconds });
      this.#handingOn = this.#events.onStored(fresh);
    }
    for (const [index, answer] of answers.entries()) {
      const { resolve, reject } = group[index] as Waiting;
      if (answer instanceof BatchRefused) reject(answer);
      else resolve(answer);
    }
  }
}

function isPlaced(result: AppendResult): result is Exclude<AppendResult, { fault: unknown }> {
  return Array.isArray(result);
}

/** A draft as it came to stand. */
function storedAs(draft: Draft, placement: Placement): Stored {
  if (typeof placement === 'number') return { message: withId(placement, draft), isNew: true };
  return 'changed' in placement
    ? { message: placement.changed, isNew: true }
    : { message: placement, isNew: false };
}
