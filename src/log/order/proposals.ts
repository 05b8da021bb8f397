import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Entry, EntrySource, Outcome } from '../entry.ts';
import { LogUnavailable } from '../message-log.ts';
import type { AppliedGroup, Delivered } from './applied-group.ts';
import type { EntryStream } from './entry-stream.ts';
import type { Proposed } from './order.ts';

/** A proposal that did not come back within this time may still do so: its caller is told that this is not known. */
const SETTLE_MILLISECONDS = 30_000;

/** While the log is being closed, all that is on its way or waits is settled within this time. */
const HURRIED_MILLISECONDS = 2000;

/** The pause before a proposal is appended again, and its longest. */
const AGAIN_MILLISECONDS = 100;
const MAX_AGAIN_MILLISECONDS = 2000;

/** The proposals of one kind of entries, which are made one after the other, and so keep their order. */
class Lane {
  proposer = newProposer();
  /** That of the newest entry that was appended. */
  counter = 0;
  /** Settles when the newest proposal has. */
  last: Promise<unknown> = Promise.resolve();

  /** Goes on under another name: the next entries come after nobody's. */
  renew(): void {
    this.proposer = newProposer();
    this.counter = 0;
  }
}

/** A proposal that has not come back. */
interface Waiting {
  readonly counter: number;
  readonly bytes: Uint8Array;
  /** The sequence of the first entry that is the same; `undefined` until one has arrived. */
  sequence: number | undefined;
  readonly settle: (proposed: Proposed | LogUnavailable) => void;
}

/**
 * The proposals of this process: each is appended to the stream until it comes back, in its place, by the tail. That the
 * stream confirms it ends the tries, and answers nobody.
 */
export class Proposals {
  readonly #encode: (source: EntrySource, entry: Entry) => Uint8Array;
  readonly #stream: EntryStream;
  readonly #lanes = new Map<Entry['kind'], Lane>();
  /** By proposer. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #closing = new AbortController();
  /** When everything is to be settled, on the clock of `performance.now()`. */
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

  /** How often an entry was appended again, since that was not confirmed. */
  get retried(): number {
    return this.#retried;
  }

  /**
   * Proposes an entry, after those of the same kind that were proposed before.
   *
   * @returns what came of it, when it has come back; or that this is not known
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
   * Notes that an entry has arrived, which may be one that was proposed. Call it for each, in order, before it is applied.
   *
   * Another entry may have the proposer and the counter of the one that is on its way, or of one that will be: a copy of this
   * process is running, or somebody forges entries. Those of this node would then be late, so it takes a new name.
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

  /** Settles the proposals in a group, by their outcomes and answers. Those of other nodes are passed over. */
  settleGroup(
    { entries, outcomes, seconds, syncSeconds }: AppliedGroup,
    isWanted: (outcome: Outcome) => boolean,
    answers: Delivered['answers'] = [],
  ): void {
    for (const [index, { time, source, sequence }] of entries.entries()) {
      const outcome = outcomes[index];
      const waiting = source && this.#waiting.get(source.proposer);
      // A copy of it has another sequence.
      if (waiting === undefined || waiting.sequence !== sequence) continue;
      if (outcome === undefined || !isWanted(outcome)) continue;
      const answer = answers[index];
      const proposed = { outcome, time, seconds, syncSeconds };
      waiting.settle(settled(answer === undefined ? proposed : { ...proposed, answers: answer }));
    }
  }

  /** Settles what is on its way within two seconds, and what waits behind it. Does nothing a second time. */
  hurry(): void {
    if (this.#deadline !== Infinity) return;
    this.#deadline = performance.now() + HURRIED_MILLISECONDS;
    for (const { settle } of this.#waiting.values()) {
      setTimeout(() => settle(unconfirmed()), HURRIED_MILLISECONDS).unref();
    }
  }

  /** Ends all tries: what was proposed and has not come back is not known. */
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

  /** Appends an entry until the stream confirms it, or its proposal is settled. */
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
        // An election, a lost connection: it may be in the stream. Its id, or its counter, keeps it from being there twice.
        await wait(pause * (0.5 + Math.random()));
      }
    }
  }
}

function newProposer(): string {
  return randomBytes(9).toString('base64url');
}

/** Returns what came of a proposal, for its caller. */
function settled(proposed: Proposed): Proposed | LogUnavailable {
  const { outcome } = proposed;
  if (outcome.kind === 'applied-before') return unknown('it was applied, but not what came of it');
  if (outcome.kind !== 'nothing') return proposed;
  return outcome.late === true
    ? unknown('another entry came under its number')
    : new LogUnavailable(`the log did not take it: ${outcome.why}`);
}

function unconfirmed(): LogUnavailable {
  return unknown('the cluster has not confirmed it');
}

function unknown(why: string): LogUnavailable {
  return new LogUnavailable(why, { mayBeStored: true });
}
