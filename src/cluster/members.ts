import type { Logger } from 'pino';
import { type DigestAt, ENTRY_VERSION } from '../log/entry.ts';
import { Recent } from '../recent.ts';
import type { Bus } from './bus.ts';
import type { Beat } from './bus-message.ts';
import { type Difference, DigestVotes } from './digest-votes.ts';
import { Positions } from './positions.ts';

const BEAT_MILLISECONDS = 1000;

/** A node counts as gone after this much silence. */
const SILENT_MILLISECONDS = 5000;

/** A node silent for less than this may be starved or cut off, so its digest is still waited for. */
const ABSENT_MILLISECONDS = 60_000;

/** A node that has not applied an entry for this time is not waited for, since there is one every two seconds. */
const STUCK_MILLISECONDS = 10_000;

/** The maximum delay before a node seen for the first time is answered with a heartbeat. */
const GREETING_MILLISECONDS = 100;

/**
 * A node counts once it has sent this many heartbeats over this time, so that a single wrong message on the bus has no
 * effect.
 */
const ESTABLISHED_BEATS = 5;
const ESTABLISHED_MILLISECONDS = 3500;

/** The maximum number of nodes. Further ones are ignored. */
const MAX_MEMBERS = 100;

/** The minimum number of nodes for which it is remembered that something was logged about them. */
const REMEMBERED = 1000;

/** A node, as described by its newest heartbeat. */
export interface Member extends Beat {
  /** Its random id, new at each start. */
  readonly id: string;
}

/** The changing part of this node's heartbeat: its state. */
type OwnState = Pick<Beat, 'through' | 'connections' | 'unready' | 'retention' | 'presence' | 'digests'>;

/** The options of the members of a cluster. */
export interface MembersOptions {
  readonly bus: Bus;
  /** The name of this node, for people. */
  readonly name: string;
  /** The version of Tidings. */
  readonly version: string;
  /** The time at which this node started, in milliseconds since the Unix epoch. */
  readonly since: number;
  readonly logger: Logger;
  /** Returns the current state of this node. */
  readonly read: () => OwnState;
  /** Called for each heartbeat of another node. */
  readonly onBeat: (member: Member) => void;
  /** Called when another node has ended, or has been silent for 5 s. */
  readonly onGone: (id: string) => void;
  /**
   * Called once, if this node must stop because its digest differs from the others'.
   *
   * @param why the reason, in words for a client
   */
  readonly onDiverged: (why: string) => void;
}

interface Seen {
  member: Member;
  beats: number;
  /** Times on the clock of `performance.now()`. */
  readonly firstAt: number;
  heardAt: number;
  /** The time at which it reported a new position. */
  movedAt: number;
}

/** The live nodes of a cluster, by their heartbeats, and a comparison of their digests. */
export class Members {
  readonly #options: MembersOptions;
  readonly #votes: DigestVotes;
  readonly #seen = new Map<string, Seen>();
  /** Nodes that are silent but have not announced their end. */
  readonly #absent = new Map<string, Seen>();
  readonly #positions = new Positions();
  /** Nodes about which something was logged, so that it is logged only once. */
  readonly #sameName = new Recent<string, true>(REMEMBERED);
  readonly #differing = new Recent<string, true>(REMEMBERED);
  #divergedAt: number | null = null;
  #mismatches = 0;
  #timer: NodeJS.Timeout | undefined;
  #greeting: NodeJS.Timeout | undefined;
  #lookedAt = 0;

  constructor(options: MembersOptions) {
    this.#options = options;
    this.#votes = new DigestVotes(options.bus.id);
  }

  /** The other nodes. */
  get others(): Member[] {
    return Array.from(this.#seen.values(), ({ member }) => member);
  }

  /** This node, as described by its heartbeats. */
  get self(): Member {
    return { id: this.#options.bus.id, ...this.#ownBeat() };
  }

  /** The number of times that a node, this one or another, was found to differ. */
  get mismatches(): number {
    return this.#mismatches;
  }

  /**
   * The sequences applied by this node and the others seen in the last 15 minutes; `undefined` if some may be unknown.
   */
  get positions(): readonly number[] | undefined {
    const others = this.#positions.lately(performance.now());
    return others === undefined ? undefined : [this.#options.read().through, ...others];
  }

  /** Returns whether a node is live: it has sent a heartbeat within the last 5 s. */
  has(id: string): boolean {
    return this.#seen.has(id);
  }

  /** Starts sending heartbeats. */
  start(): void {
    this.#lookedAt = performance.now();
    this.#timer = setInterval(() => this.#look(), BEAT_MILLISECONDS);
    this.#timer.unref();
    this.#beat();
  }

  /** Stops sending heartbeats, and tells the others that this node has ended. */
  stop(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#greeting);
    this.#options.bus.send({ kind: 'bye' });
  }

  /** Handles a heartbeat of another node. */
  heard(id: string, beat: Beat): void {
    const now = performance.now();
    const member = { id, ...beat };
    this.#positions.note(id, beat.through, now);
    let seen = this.#seen.get(id);
    if (seen === undefined) {
      if (this.#seen.size >= MAX_MEMBERS) {
        this.#options.bus.counts.ignored++;
        return;
      }
      seen = this.#absent.get(id) ?? { member, beats: 0, firstAt: now, heardAt: now, movedAt: now };
      this.#absent.delete(id);
      this.#seen.set(id, seen);
      // Greet it, so that a joining node knows the others at once.
      this.#greeting ??= setTimeout(() => this.#greet(), Math.random() * GREETING_MILLISECONDS).unref();
    }
    if (beat.through !== seen.member.through) seen.movedAt = now;
    Object.assign(seen, { member, beats: seen.beats + 1, heardAt: now });
    if (isEstablished(seen)) this.#note(seen.member, now);
    this.#options.onBeat(member);
  }

  /** Notes that a node has ended. Does nothing if the node is unknown. */
  left(id: string): void {
    this.#absent.delete(id);
    if (this.#seen.delete(id)) this.#options.onGone(id);
  }

  #note({ id, name, digests, divergedAt }: Member, now: number): void {
    // A node that has stopped has no vote on later sequences: it must not stop others when only few are left.
    this.#votes.note(
      { id, name },
      digests.filter(({ sequence }) => divergedAt === null || sequence <= divergedAt),
      now,
    );
    const { bus, logger } = this.#options;
    if (name !== this.#options.name || this.#sameName.get(id) === true) return;
    this.#sameName.set(id, true);
    logger.warn(
      { name, node: bus.id, other: id },
      'another node has the same NODE_NAME: both work, but people cannot tell them apart',
    );
  }

  #greet(): void {
    this.#greeting = undefined;
    this.#beat();
  }

  #beat(): void {
    this.#options.bus.send(this.#ownBeat());
  }

  #ownBeat(): Beat {
    const { name, version, since, read } = this.#options;
    const own = { name, version, entryVersion: ENTRY_VERSION, since, divergedAt: this.#divergedAt };
    return { kind: 'beat', ...own, ...read() };
  }

  #look(): void {
    const now = performance.now();
    const pause = now - this.#lookedAt - BEAT_MILLISECONDS;
    this.#lookedAt = now;
    this.#positions.tidy(now);
    this.#positions.hearing(this.#options.bus.isConnected && pause <= BEAT_MILLISECONDS, now);
    for (const [id, seen] of this.#seen) {
      // While this process was suspended, it could hear nobody.
      if (pause > BEAT_MILLISECONDS) seen.heardAt += pause;
      if (now - seen.heardAt < SILENT_MILLISECONDS) continue;
      this.left(id);
      if (isEstablished(seen)) this.#absent.set(id, seen);
    }
    for (const [id, { heardAt }] of this.#absent) {
      if (now - heardAt >= ABSENT_MILLISECONDS) this.#absent.delete(id);
    }
    this.#compare(now);
    this.#beat();
  }

  #compare(now: number): void {
    if (this.#divergedAt !== null) return;
    const { bus, name, read } = this.#options;
    this.#votes.note({ id: bus.id, name }, read().digests, now);
    this.#votes.tidy((id) => this.#seen.has(id));
    const difference = this.#votes.judge((...at) => this.#countAwaited(...at, now), now);
    if (difference === undefined) return;
    if (difference.majority === difference.own) this.#noteOthers(difference);
    else this.#diverge(difference);
  }

  /**
   * Returns the number of nodes that may still report the digest after a sequence at which nodes have differed `since`
   * a time.
   */
  #countAwaited(sequence: number, since: number, now: number): number {
    const isBehind = ({ member }: Seen): boolean => member.divergedAt === null && member.through < sequence;
    const isAwaited = (seen: Seen): boolean =>
      isBehind(seen)
        ? now - Math.max(since, seen.movedAt) < STUCK_MILLISECONDS
        : !isEstablished(seen) && hasDigest(seen.member, sequence);
    return (
      [...this.#seen.values()].filter(isAwaited).length + [...this.#absent.values()].filter(isBehind).length
    );
  }

  #noteOthers({ sequence, own, votes }: Difference): void {
    for (const [node, digest] of votes) {
      if (digest === own || this.#differing.get(node) === true) continue;
      this.#differing.set(node, true);
      this.#mismatches++;
      this.#options.logger.error(
        { sequence, digest: own, node, name: this.#nameOf(node), itsDigest: digest },
        'another node has a different state from most: it should have stopped',
      );
    }
  }

  #diverge({ sequence, own, majority, votes }: Difference): void {
    this.#divergedAt = sequence;
    this.#mismatches++;
    const nodes = Array.from(votes, ([node, digest]) => ({ node, name: this.#nameOf(node), digest }));
    const line = { sequence, digest: own, nodes };
    if (majority === undefined) {
      this.#options.logger.fatal(
        line,
        'the nodes have different states, and none of these has a majority: all stop taking publishes. ' +
          'An operator must decide: see cluster reseed',
      );
      this.#options.onDiverged('the nodes of the cluster have different states, and none has a majority');
    } else {
      this.#options.logger.fatal(
        line,
        'this node has a different state from most: it stops taking publishes. ' +
          'Keep its database to find out why, and start it with an empty one',
      );
      this.#options.onDiverged('this node has a different state from the others of its cluster');
    }
  }

  #nameOf(node: string): string | undefined {
    if (node === this.#options.bus.id) return this.#options.name;
    return (this.#seen.get(node) ?? this.#absent.get(node))?.member.name;
  }
}

/** Returns whether a node counts. This changes only when a heartbeat arrives. */
function isEstablished({ beats, firstAt, heardAt }: Seen): boolean {
  return beats >= ESTABLISHED_BEATS && heardAt - firstAt >= ESTABLISHED_MILLISECONDS;
}

function hasDigest({ digests }: Member, sequence: number): boolean {
  return digests.some((one: DigestAt) => one.sequence === sequence);
}
