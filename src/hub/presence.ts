import { Recent } from '../recent.ts';
import type { PresenceState } from './presence-state.ts';
import type { Turns } from './turns.ts';
import { type PresenceFrame, type Watcher, Watching } from './watching.ts';

interface Entry {
  devices: number;
  lastSeen: number;
}

/** A device that is back within this time changes nothing: a reload, a reconnect, the pause between two polls. */
const GRACE_MILLISECONDS = 6000;

/** Addresses without a device that may be back are looked at no more often than this, and no more than so many wait. */
const LOOK_MILLISECONDS = 100;
const MOST_LEAVING = 100_000;

/** So many offline addresses are remembered at least. */
const REMEMBERED = 100_000;

/** Who is online. */
export class Presence {
  readonly #turns: Pick<Turns, 'run'>;
  readonly #now: () => number;
  readonly #watching: Watching;
  readonly #online = new Map<string, Entry>();
  /** When each address without a device goes offline, on the clock of `performance.now()`: the first comes first. */
  readonly #leaving = new Map<string, number>();
  /** One look at all that are leaving, instead of a timer for each: planned, or under way. */
  #look: NodeJS.Timeout | 'under way' | undefined;
  /** When each address that is offline was last seen. */
  readonly #lastSeen = new Recent<string, number>(REMEMBERED);

  /** @param now milliseconds since the Unix epoch */
  constructor(turns: Pick<Turns, 'run'>, now: () => number) {
    this.#turns = turns;
    this.#now = now;
    this.#watching = new Watching((address) => this.state(address));
  }

  /** A device of these addresses is there. */
  join(addresses: readonly string[]): void {
    for (const address of addresses) {
      const entry = this.#online.get(address);
      if (entry === undefined) {
        this.#online.set(address, { devices: 1, lastSeen: this.#now() });
        this.#lastSeen.delete(address);
      } else {
        entry.devices++;
        this.#leaving.delete(address);
      }
      this.#watching.changed(address, entry === undefined);
    }
    void this.#turns.run(this.#watching.tell());
  }

  /** A device that joined with these addresses is gone. */
  leave(addresses: readonly string[]): void {
    for (const address of addresses) {
      const entry = this.#online.get(address);
      if (entry === undefined) continue;
      entry.devices--;
      entry.lastSeen = this.#now();
      if (entry.devices === 0) this.#leaving.set(address, performance.now() + GRACE_MILLISECONDS);
      this.#watching.changed(address, false);
    }
    this.#planLook();
  }

  /** The state of an address now. */
  state(address: string): PresenceState {
    const entry = this.#online.get(address);
    if (entry === undefined) {
      return { online: false, devices: 0, lastSeen: this.#lastSeen.get(address) ?? null };
    }
    const lastSeen = entry.devices > 0 ? this.#now() : entry.lastSeen;
    return { online: true, devices: entry.devices, lastSeen };
  }

  /** The state of an address now, as streams are told. */
  frame(address: string): PresenceFrame {
    return this.#watching.frame(address);
  }

  /**
   * Tells a watcher when its addresses come or go.
   *
   * @returns ends it
   */
  watch(watcher: Watcher): () => void {
    this.#watching.add(watcher);
    return () => this.#watching.remove(watcher);
  }

  #planLook(): void {
    if (this.#look === 'under way') return;
    if (this.#leaving.size > MOST_LEAVING) {
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
    void this.#turns.run(this.#takeOffline());
  }

  *#takeOffline(): Generator {
    // Many at once: a Map passes over what was deleted from its beginning at each look.
    const most = this.#leaving.size > MOST_LEAVING ? MOST_LEAVING * 0.9 : MOST_LEAVING;
    const now = performance.now();
    for (const [address, due] of this.#leaving) {
      if (due > now && this.#leaving.size <= most) break;
      this.#leaving.delete(address);
      this.#lastSeen.set(address, this.#online.get(address)?.lastSeen ?? this.#now());
      this.#online.delete(address);
      this.#watching.changed(address, true);
      yield;
    }
    this.#look = undefined;
    this.#planLook();
    yield* this.#watching.tell();
  }
}
