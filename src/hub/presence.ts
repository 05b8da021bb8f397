import { Recent } from '../recent.ts';
import type { PresenceState } from '../wire/presence-state.ts';
import type { FairScheduler } from '../fair-scheduler.ts';
import type { Peers } from './peers.ts';
import { type PresenceFrame, type Watcher, PresenceWatchers } from './presence-watchers.ts';

interface Entry {
  devices: number;
  lastSeen: number;
}

/**
 * An address that returns within this time does not go offline. It covers a reload, a reconnect, or the pause between
 * two polls.
 */
const GRACE_MILLISECONDS = 6000;

/** The minimum interval between checks of addresses without a connection. */
const LOOK_MILLISECONDS = 100;

/** The maximum number of addresses waiting to go offline. */
const MAX_LEAVING = 100_000;

/** The minimum number of offline addresses that are remembered. */
const REMEMBERED = 100_000;

/** The presence of all addresses, on all nodes. */
export class Presence {
  readonly #scheduler: Pick<FairScheduler, 'run'>;
  readonly #now: () => number;
  readonly #peers: Pick<Peers, 'joined' | 'left'> | undefined;
  readonly #watchers: PresenceWatchers;
  readonly #online = new Map<string, Entry>();
  /** The `performance.now()` at which each address without a connection goes offline, in that order. */
  readonly #leaving = new Map<string, number>();
  /** The next check of all leaving addresses, or the one under way. It replaces a timer for each. */
  #look: NodeJS.Timeout | 'under way' | undefined;
  #isStopped = false;
  /** The time at which each offline address was last online. */
  readonly #lastSeen = new Recent<string, number>(REMEMBERED);

  /**
   * @param now milliseconds since the Unix epoch
   * @param peers the other nodes, which are told of this node's connections; missing if there are none
   */
  constructor(
    scheduler: Pick<FairScheduler, 'run'>,
    now: () => number,
    peers?: Pick<Peers, 'joined' | 'left'>,
  ) {
    this.#scheduler = scheduler;
    this.#now = now;
    this.#peers = peers;
    this.#watchers = new PresenceWatchers((address) => this.state(address));
  }

  /** Notes that a stream or poll of these addresses has begun on this node. */
  join(addresses: readonly string[]): void {
    for (const address of addresses) this.#come(address, 1);
    void this.#scheduler.run(this.#watchers.tell());
    this.#peers?.joined(addresses);
  }

  /**
   * Notes that a stream or poll of these addresses has ended on this node. Pass the same addresses as to its `join`.
   */
  leave(addresses: readonly string[]): void {
    for (const address of addresses) this.#go(address, 1);
    this.#planLook();
    this.#peers?.left(addresses);
  }

  /**
   * Notes changes of the numbers of devices on other nodes.
   *
   * @param changes the change of each address's number of devices: negative if there are fewer
   */
  changeElsewhere(changes: Iterable<readonly [address: string, change: number]>): void {
    for (const [address, change] of changes) {
      if (change > 0) this.#come(address, change);
      else this.#go(address, -change);
    }
    void this.#scheduler.run(this.#watchers.tell());
    this.#planLook();
  }

  /** Returns the current state of an address. */
  state(address: string): PresenceState {
    const entry = this.#online.get(address);
    if (entry === undefined) {
      return { online: false, devices: 0, lastSeen: this.#lastSeen.get(address) ?? null };
    }
    const lastSeen = entry.devices > 0 ? this.#now() : entry.lastSeen;
    return { online: true, devices: entry.devices, lastSeen };
  }

  /** Returns the current state of an address as frames. */
  frame(address: string): PresenceFrame {
    return this.#watchers.frame(address);
  }

  /**
   * Tells a watcher when its addresses come online or go offline.
   *
   * @returns a function that stops watching
   */
  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.remove(watcher);
  }

  /** Stops taking addresses offline. */
  stop(): void {
    this.#isStopped = true;
    if (this.#look !== 'under way') clearTimeout(this.#look);
  }

  #come(address: string, devices: number): void {
    const entry = this.#online.get(address);
    if (entry === undefined) {
      this.#online.set(address, { devices, lastSeen: this.#now() });
      this.#lastSeen.delete(address);
    } else {
      entry.devices += devices;
      this.#leaving.delete(address);
    }
    this.#watchers.changed(address, entry === undefined);
  }

  #go(address: string, devices: number): void {
    const entry = this.#online.get(address);
    if (entry === undefined) return;
    entry.devices -= devices;
    entry.lastSeen = this.#now();
    if (entry.devices === 0) this.#leaving.set(address, performance.now() + GRACE_MILLISECONDS);
    this.#watchers.changed(address, false);
  }

  #planLook(): void {
    if (this.#look === 'under way' || this.#isStopped) return;
    if (this.#leaving.size > MAX_LEAVING) {
      clearTimeout(this.#look);
      this.#lookAtLeaving();
    } else if (this.#look === undefined) {
      const [due] = this.#leaving.values();
      if (due === undefined) return;
      const wait = Math.max(LOOK_MILLISECONDS, Math.ceil(due - performance.now()));
      this.#look = setTimeout(() => this.#lookAtLeaving(), wait);
      this.#look.unref();
    }
  }

  #lookAtLeaving(): void {
    this.#look = 'under way';
    void this.#scheduler.run(this.#takeOffline());
  }

  *#takeOffline(): Generator {
    // Past the maximum, remove a tenth at once: each pass over a Map has to skip the entries deleted at its beginning.
    const keep = this.#leaving.size > MAX_LEAVING ? MAX_LEAVING * 0.9 : MAX_LEAVING;
    const now = performance.now();
    for (const [address, due] of this.#leaving) {
      if (due > now && this.#leaving.size <= keep) break;
      this.#leaving.delete(address);
      this.#lastSeen.set(address, this.#online.get(address)?.lastSeen ?? this.#now());
      this.#online.delete(address);
      this.#watchers.changed(address, true);
      yield;
    }
    this.#look = undefined;
    this.#planLook();
    yield* this.#watchers.tell();
  }
}
