import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Entry, EntrySource, Outcome } from '../entry.ts';
import { LogUnavailable } from '../message-log.ts';
import type { AppliedGroup, Delivered } from './applied-group.ts';
import type { EntryStream } from './entry-stream.ts';
import type { Proposed } from './order.ts';

/**
 * The longest wait for a proposal to come back. After it, the caller is told that the outcome is unknown, since the
 * entry may still come back.
 */
const SETTLE_MILLISECONDS = 30_000;

/** The time in which all pending proposals are settled while the log is closing. */
const HURRIED_MILLISECONDS = 2000;

/** The pause before a proposal is appended again, and its maximum. */
const AGAIN_MILLISECONDS = 100;
const MAX_AGAIN_MILLISECONDS = 2000;

/** The proposals of one kind of entry, made one at a time so that they keep their order. */
class Lane {
  proposer = newProposer();
  /** The counter of the newest appended entry. */
  counter = 0;
  /** Settles when the newest proposal has settled. */
  last: Promise<unknown> = Promise.resolve();

  /** Takes a new name and starts counting again. */
  renew(): void {
    this.proposer = newProposer();
    this.counter = 0;
  }
}

/** A proposal that has not come back. */
interface Waiting {
  readonly counter: number;
  readonly bytes: Uint8Array;
  /** The sequence of the first arrived entry with the same bytes; `undefined` until one has arrived. */
  sequence: number | undefined;
  readonly settle: (proposed: Proposed | LogUnavailable) => void;
}

/**
 * The proposals of this process. Each is appended to the stream, again and again until the stream confirms it, but its
 * caller gets an answer only when the tail brings the entry back in its place.
 */
export class Proposals {
  readonly #encode: (source: EntrySource, entry: Entry) => Uint8Array;
  readonly #stream: EntryStream;
  readonly #lanes = new Map<Entry['kind'], Lane>();
  /** The pending proposals, by proposer. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #closing = new AbortController();
  /** The `performance.now()` by which everything must be settled. */
  #deadline = Infinity;
  #retried = 0;

  readonly #settleMilliseconds: number;

  /** @param settleMilliseconds the longest wait for a proposal to come back */
  constructor(
    encode: (source: EntrySource, entry: Entry) => Uint8Array,
    stream: EntryStream,
    settleMilliseconds = SETTLE_MILLISECONDS,
  ) {
    this.#encode = encode;
    this.#stream = stream;
    this.#settleMilliseconds = settleMilliseconds;
  }

  /** The number of times that an entry was appended again, because the stream had not confirmed it. */
  get retried(): number {
    return this.#retried;
  }

  /**
   * Proposes an entry, after earlier ones of the same kind.
   *
   * @returns the outcome, once the entry has come back and is applied; or an error that says that the outcome is
   *   unknown
   */
  propose(entry: Entry): Promise<Proposed | LogUnavailable> {
    let lane = this.#lanes.get(entry.kind);
    if (lane === undefined) this.#lanes.set(entry.kind, (lane = new Lane()));
    const { last } = lane;
    const proposed = last.then(() => this.#proposeNow(lane, entry));
    lane.last = proposed.catch(() => undefined);
    return proposed;
  }

  /**
   * Notes that an entry has arrived, which may be a proposed one. Call it for each entry, in order, before it is
   * applied.
   *
   * Another entry may carry the proposer and the counter of a pending or future proposal: a copy of this process is
   * running, or somebody forges entries. This node's own entries would then count as late, so it takes a new name.
   */
  arrived({ proposer, counter }: EntrySource, sequence: number, bytes: Uint8Array): void {
    const waiting = this.#waiting.get(proposer);
    const isWanted = waiting?.counter === counter;
    if (isWanted && Buffer.compare(waiting.bytes, bytes) === 0) {
      waiting.sequence ??= sequence;
      return;
    }
    for (const lane of this.#lanes.values())
      if (lane.proposer === proposer && (isWanted || counter > lane.counter)) lane.renew();
  }

  /** Settles the proposals in a group with their outcomes and answers. Ignores the proposals of other nodes. */
  settleGroup(
    { entries, outcomes, seconds, syncSeconds }: AppliedGroup,
    isWanted: (outcome: Outcome) => boolean,
    answers: Delivered['answers'] = [],
  ): void {
    for (const [index, { time, source, sequence }] of entries.entries()) {
      const outcome = outcomes[index];
      const waiting = source && this.#waiting.get(source.proposer);
      // A second copy of the entry has another sequence.
      if (waiting === undefined || waiting.sequence !== sequence) continue;
      if (outcome === undefined || !isWanted(outcome)) continue;
      const answer = answers[index];
      const proposed = { outcome, time, seconds, syncSeconds };
      waiting.settle(settled(answer === undefined ? proposed : { ...proposed, answers: answer }));
    }
  }

  /** Settles all proposals within two seconds, including waiting ones. Does nothing if called again. */
  hurry(): void {
    if (this.#deadline !== Infinity) return;
    this.#deadline = performance.now() + HURRIED_MILLISECONDS;
    for (const { settle } of this.#waiting.values()) {
      setTimeout(() => settle(unconfirmed()), HURRIED_MILLISECONDS).unref();
    }
  }

  /** Ends all tries: the outcome of proposals that have not come back is unknown. */
  close(): void {
    this.#closing.abort();
    for (const { settle } of this.#waiting.values()) settle(unknown('the service is shutting down'));
  }

  async #proposeNow(lane: Lane, entry: Entry): Promise<Proposed | LogUnavailable> {
    const left = this.#deadline - performance.now();
    if (this.#closing.signal.aborted || left <= 0) return new LogUnavailable('the service is shutting down');
    const source = { proposer: lane.proposer, counter: ++lane.counter };
    const bytes = this.#encode(source, entry);
    const settled = new AbortController();
    try {
      return await new Promise((settle) => {
        this.#waiting.set(source.proposer, { counter: source.counter, bytes, sequence: undefined, settle });
        const timer = setTimeout(() => settle(unconfirmed()), Math.min(left, this.#settleMilliseconds));
        settled.signal.addEventListener('abort', () => clearTimeout(timer));
        void this.#append(source, bytes, settled.signal);
      });
    } finally {
      settled.abort();
      this.#waiting.delete(source.proposer);
    }
  }

  /** Appends an entry, retrying until the stream confirms it or the proposal is settled. */
  async #append({ proposer, counter }: EntrySource, bytes: Uint8Array, settled: AbortSignal): Promise<void> {
    const id = `${proposer}-${counter}`;
    for (
      let pause = AGAIN_MILLISECONDS;
      !settled.aborted;
      pause = Math.min(2 * pause, MAX_AGAIN_MILLISECONDS)
    ) {
      if (pause > AGAIN_MILLISECONDS) this.#retried++;
      try {
        await this.#stream.append(bytes, id);
        return;
      } catch {
        // After an election or a lost connection, the entry may already be in the stream. Its id, or else its counter,
        // keeps it from being applied twice.
        await wait(pause * (0.5 + Math.random()));
      }
    }
  }
}

function newProposer(): string {
  return randomBytes(9).toString('base64url');
}

/** Returns the result of a proposal for its caller. */
function settled(proposed: Proposed): Proposed | LogUnavailable {
  const { outcome } = proposed;
  if (outcome.kind === 'applied-before') return unknown('it was applied, but its outcome is unknown');
  if (outcome.kind !== 'nothing') return proposed;
  return outcome.late === true
    ? unknown('another entry took its number')
    : new LogUnavailable(`the log did not accept it: ${outcome.why}`);
}

function unconfirmed(): LogUnavailable {
  return unknown('the cluster has not confirmed it');
}

function unknown(why: string): LogUnavailable {
  return new LogUnavailable(why, { mayBeStored: true });
}
