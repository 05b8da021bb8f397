import type { DigestAt } from '../log/entry.ts';

/** How many digests of a node are kept, the newest: as much as nodes that keep up with each other can lie apart. */
const KEPT = 256;

/** The votes of so many nodes are kept that have ended or are silent: those that were heard last. */
const MAX_ABSENT = 100;

/** Nodes that have not reported a sequence are waited for no longer than this, if nothing can be decided without them. */
const WAIT_MILLISECONDS = 60_000;

/** A sequence after which nodes have other digests. */
export interface Difference {
  readonly sequence: number;
  readonly own: string;
  /** The digest that more than half of the nodes have; `undefined` if there is none. */
  readonly majority: string | undefined;
  /** The digest of each node that has reported this sequence, this one among them. */
  readonly votes: ReadonlyMap<string, string>;
}

/** The digests that one start of a node has reported. Times are on a clock that never jumps. */
interface Ballot {
  /** Random for each start of the node. */
  readonly id: string;
  /** The same for all starts of a node. */
  readonly name: string;
  readonly firstAt: number;
  lastAt: number;
  readonly digests: Map<number, string>;
}

/**
 * The digests that nodes have reported, each after the same sequences. Digests build on each other: nodes that have differed
 * once differ from then on. A digest that was reported counts also while its node is silent, or has ended: it is a fact about
 * the sequence.
 */
export class DigestVotes {
  readonly #self: string;
  /** The nodes that were heard last come last. */
  readonly #ballots = new Map<string, Ballot>();
  /** When a difference was seen first. */
  readonly #since = new Map<number, number>();

  /** @param self the id of this node */
  constructor(self: string) {
    this.#self = self;
  }

  /**
   * Notes digests of a node. One that has reported a sequence before does not change that.
   *
   * @param id of this start of the node
   * @param now milliseconds of a clock that never jumps
   */
  note({ id, name }: { id: string; name: string }, reported: readonly DigestAt[], now: number): void {
    const ballot = this.#ballots.get(id) ?? {
      id,
      name,
      firstAt: now,
      lastAt: now,
      digests: new Map<number, string>(),
    };
    ballot.lastAt = now;
    this.#ballots.delete(id);
    this.#ballots.set(id, ballot);
    const { digests } = ballot;
    for (const { sequence, digest } of reported) {
      if (!digests.has(sequence)) digests.set(sequence, digest);
    }
    const surplus = [...digests.keys()].slice(0, Math.max(0, digests.size - KEPT));
    for (const sequence of surplus) digests.delete(sequence);
  }

  /**
   * Forgets votes that must not count any more. A node that is started again with an older copy of the log reports sequences
   * again that it has reported before. It has one vote, else one that is started again and again outvotes all others.
   *
   * @param isThere returns whether a node is there now
   */
  tidy(isThere: (id: string) => boolean): void {
    const absent = [...this.#ballots.values()].filter(({ id }) => id !== this.#self && !isThere(id));
    const surplus = absent.splice(0, Math.max(0, absent.length - MAX_ABSENT));
    for (const { id } of surplus) this.#ballots.delete(id);
    const reported = this.#lastReported(new Set(absent.map(({ name }) => name)));
    for (const { name, lastAt, digests } of absent) {
      for (const sequence of digests.keys()) {
        if ((reported.get(name)?.get(sequence) ?? lastAt) > lastAt) digests.delete(sequence);
      }
    }
  }

  /** Returns for each of these names, and each sequence, when the last start began that has reported it. */
  #lastReported(names: ReadonlySet<string>): Map<string, Map<number, number>> {
    const reported = new Map(Array.from(names, (name) => [name, new Map<number, number>()]));
    for (const { name, firstAt, digests } of this.#ballots.values()) {
      const ofName = reported.get(name);
      if (ofName === undefined) continue;
      for (const sequence of digests.keys()) {
        ofName.set(sequence, Math.max(firstAt, ofName.get(sequence) ?? firstAt));
      }
    }
    return reported;
  }

  /**
   * Looks for a difference among the nodes that have reported the same sequence as this one.
   *
   * @param countAwaited returns how many other nodes are expected to report a sequence, after which others have differed
   *   since a time
   * @param now milliseconds of a clock that never jumps
   * @returns one by which this node is not in the majority, if there is one; `undefined` if there is none, or it cannot be
   *   judged yet
   */
  judge(countAwaited: (sequence: number, since: number) => number, now: number): Difference | undefined {
    let found: Difference | undefined;
    const ownVotes = this.#ballots.get(this.#self)?.digests ?? new Map<number, string>();
    for (const sequence of this.#since.keys()) if (!ownVotes.has(sequence)) this.#since.delete(sequence);
    for (const [sequence, own] of ownVotes) {
      const votes = this.#votesAt(sequence);
      const digests = [...votes.values()];
      if (digests.every((digest) => digest === own)) continue;
      const since = this.#since.get(sequence) ?? now;
      this.#since.set(sequence, since);
      const awaited = now - since < WAIT_MILLISECONDS ? countAwaited(sequence, since) : 0;
      const majority = majorityOf(digests, digests.length + awaited);
      if (majority === undefined && awaited > 0) continue;
      const difference = { sequence, own, majority, votes };
      if (majority !== own) return difference;
      found ??= difference;
    }
    return found;
  }

  #votesAt(sequence: number): Map<string, string> {
    const votes = new Map<string, string>();
    for (const [node, { digests }] of this.#ballots) {
      const digest = digests.get(sequence);
      if (digest !== undefined) votes.set(node, digest);
    }
    return votes;
  }
}

/** Returns the digest that more than half of so many nodes have reported. */
function majorityOf(digests: readonly string[], nodes: number): string | undefined {
  const counts = new Map<string, number>();
  for (const digest of digests) counts.set(digest, (counts.get(digest) ?? 0) + 1);
  return digests.find((digest) => (counts.get(digest) ?? 0) * 2 > nodes);
}
