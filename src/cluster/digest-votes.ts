import type { DigestAt } from '../log/entry.ts';

/**
 * The number of newest digests kept per node: enough to cover the distance between nodes that keep up with each other.
 */
const KEPT = 256;

/** The number of ended or silent nodes whose votes are kept: the ones heard most recently. */
const MAX_ABSENT = 100;

/** The longest wait for nodes that have not reported a sequence, if nothing can be decided without them. */
const WAIT_MILLISECONDS = 60_000;

/** A sequence after which nodes have different digests. */
export interface Difference {
  readonly sequence: number;
  readonly own: string;
  /** The digest of more than half of the nodes; `undefined` if there is none. */
  readonly majority: string | undefined;
  /** The digests of all nodes that have reported this sequence, including this one. */
  readonly votes: ReadonlyMap<string, string>;
}

/** The digests reported by one start of a node. Times are on a monotonic clock. */
interface Ballot {
  /** Its random id, new at each start of the node. */
  readonly id: string;
  /** The name of the node, the same for all of its starts. */
  readonly name: string;
  readonly firstAt: number;
  lastAt: number;
  readonly digests: Map<number, string>;
}

/**
 * The digests that nodes have reported, all after the same sequences. Digests build on each other, so nodes that have
 * differed once keep differing. A reported digest still counts when its node is silent or has ended: it is a fact about
 * the sequence.
 */
export class DigestVotes {
  readonly #self: string;
  /** The ballots, by the id of the node, in the order in which the nodes were last heard. */
  readonly #ballots = new Map<string, Ballot>();
  /** The time at which each difference was first seen, by sequence. */
  readonly #since = new Map<number, number>();

  /** @param self the id of this node */
  constructor(self: string) {
    this.#self = self;
  }

  /**
   * Records digests of a node. A digest that it has already reported for a sequence stays.
   *
   * @param id the id of this start of the node
   * @param now milliseconds of a monotonic clock
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
   * Forgets votes that must no longer count. A node restarted with an older copy of the log reports sequences that it
   * has already reported. It gets only one vote for each, since a node that restarts repeatedly would otherwise outvote
   * all others.
   *
   * @param isThere returns whether a node is live
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

  /** Returns, for each name and sequence, the start time of the latest start that has reported it. */
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
   * @param countAwaited returns the number of other nodes still expected to report a sequence after which nodes have
   *   differed since a time
   * @param now milliseconds of a monotonic clock
   * @returns preferably a difference in which this node is not in the majority; `undefined` if there is none, or none
   *   can be judged yet
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

/** Returns the digest that more than half of `nodes` nodes have reported; `undefined` if there is none. */
function majorityOf(digests: readonly string[], nodes: number): string | undefined {
  const counts = new Map<string, number>();
  for (const digest of digests) counts.set(digest, (counts.get(digest) ?? 0) + 1);
  return digests.find((digest) => (counts.get(digest) ?? 0) * 2 > nodes);
}
