import { Recent } from '../recent.ts';
import type { PresenceState } from '../wire/presence-state.ts';
import type { FairScheduler } from '../fair-scheduler.ts';
import type { Peers } from './peers.ts';
import { type PresenceFrame, type Watcher, PresenceWatchers } from './presence-watchers.ts';

interface Entry {
  devices: number;
  lastSeen: number;
}

/** An address that is back within this time was not offline: a reload, a reconnect, the pause between two polls. */
const GRACE_MILLISECONDS = 6000;

/** How often addresses without a connection are checked, at most. */
const LOOK_MILLISECONDS = 100;

/** How many of them may wait to go offline. */
const MAX_LEAVING = 100_000;

/** How many offline addresses are remembered, at least. */
const REMEMBERED = 100_000;

/** The presence of all addresses, on all nodes. */
export class Presence {
  readonly #scheduler: Pick<FairScheduler, 'run'>;
  readonly #now: () => number;
  readonly #peers: Pick<Peers, 'joined' | 'left'> | undefined;
  readonly #watchers: PresenceWatchers;
  readonly #online = new Map<string, Entry>();
  /** When each address without a connection goes offline, on the clock of `performance.now()`, in that order. */
  readonly #leaving = new Map<string, number>();
  /** One check of all that are leaving, instead of a timer for each: planned, or under way. */
  #look: NodeJS.Timeout | 'under way' | undefined;
  #isStopped = false;
  /** When each offline address was last online. */
  readonly #lastSeen = new Recent<string, number>(REMEMBERED);

  /**
   * @param now milliseconds since the Unix epoch
   * @param peers is told of the connections of this node; missing if it is the only one
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

  /** Notes that a stream or poll of these addresses has ended on this node. Its `join` had the same addresses. */
  leave(addresses: readonly string[]): void {
    for (const address of addresses) this.#go(address, 1);
    this.#planLook();
    this.#peers?.left(addresses);
  }

  /**
   * Notes that the devices of addresses have changed on other nodes.
   *
   * @param changes by how many: negative if there are fewer
   */
  changeElsewhere(changes: Iterable<readonly [address: string, change: number]>): void {
    for (const [address, change] of changes) {
      if (change > 0) this.#come(address, change);
      else this.#go(address, -change);
    }
    void this.#scheduler.run(this.#watchers.tell());
    this.#planLook();
  }

  /** Returns the state of an address now. */
  state(address: string): PresenceState {
    const entry = this.#online.get(address);
    if (entry === undefined) {
      return { online: false, devices: 0, lastSeen: this.#lastSeen.get(address) ?? null };
    }
    const lastSeen = entry.devices > 0 ? this.#now() : entry.lastSeen;
    return { online: true, devices: entry.devices, lastSeen };
  }

  /** Returns the state of an address now as frames. */
  frame(address: string): PresenceFrame {
    return this.#watchers.frame(address);
  }

  /**
   * Tells a watcher when its addresses come online or go offline.
   *
   * @returns a function that stops that
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
    // Past the maximum, a tenth is removed together: each pass over a Map skips the entries deleted at its beginning.
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
