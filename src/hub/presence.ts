/** Whether an address has a device: an open stream or a held poll that follows it. */
export interface PresenceState {
  readonly online: boolean;
  readonly devices: number;
  /** When a device was last there, as milliseconds since the Unix epoch; `null` where none was since the start. */
  readonly lastSeen: number | null;
}

/** A state as clients see it. */
export interface WirePresence {
  readonly online: boolean;
  readonly devices: number;
  readonly lastSeen: string | null;
}

/** A state with its time as text. */
export function toWire({ online, devices, lastSeen }: PresenceState): WirePresence {
  return { online, devices, lastSeen: lastSeen === null ? null : new Date(lastSeen).toISOString() };
}

type Watcher = (address: string) => void;

interface Entry {
  devices: number;
  lastSeen: number;
  /** Runs while the last device is gone but may be back. */
  grace: NodeJS.Timeout | undefined;
}

/** A device that is back within this time changes nothing: a reload, a reconnect, the pause between two polls. */
const GRACE_MILLISECONDS = 6000;

/** So many offline addresses are remembered; past it those that left first are forgotten. */
const MOST_REMEMBERED = 100_000;

/** Who is online. */
export class Presence {
  readonly #now: () => number;
  readonly #online = new Map<string, Entry>();
  /** When each address that is offline was last seen, in the order of leaving. */
  readonly #lastSeen = new Map<string, number>();
  readonly #watchers = new Map<string, Set<Watcher>>();

  /** @param now milliseconds since the Unix epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A device of these addresses is there. */
  join(addresses: readonly string[]): void {
    for (const address of addresses) {
      const entry = this.#online.get(address);
      if (entry === undefined) {
        this.#online.set(address, { devices: 1, lastSeen: this.#now(), grace: undefined });
        this.#lastSeen.delete(address);
        this.#tell(address);
      } else {
        clearTimeout(entry.grace);
        entry.grace = undefined;
        entry.devices++;
      }
    }
  }

  /** A device that joined with these addresses is gone. */
  leave(addresses: readonly string[]): void {
    for (const address of addresses) {
      const entry = this.#online.get(address);
      if (entry === undefined) continue;
      entry.devices--;
      entry.lastSeen = this.#now();
      if (entry.devices > 0) continue;
      entry.grace = setTimeout(() => this.#goneOffline(address, entry), GRACE_MILLISECONDS);
      entry.grace.unref();
    }
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

  /**
   * Calls a watcher with the address at each change between online and offline.
   *
   * @returns ends it
   */
  watch(addresses: readonly string[], watcher: Watcher): () => void {
    for (const address of addresses) {
      const watchers = this.#watchers.get(address);
      if (watchers === undefined) this.#watchers.set(address, new Set([watcher]));
      else watchers.add(watcher);
    }
    return () => {
      for (const address of addresses) {
        const watchers = this.#watchers.get(address);
        if (watchers?.delete(watcher) === true && watchers.size === 0) this.#watchers.delete(address);
      }
    };
  }

  #goneOffline(address: string, entry: Entry): void {
    this.#online.delete(address);
    this.#lastSeen.set(address, entry.lastSeen);
    if (this.#lastSeen.size > MOST_REMEMBERED) this.#forget();
    this.#tell(address);
  }

  /** Many at once: a Map passes over what was deleted from its beginning at each look. */
  #forget(): void {
    let toForget = MOST_REMEMBERED / 10;
    for (const address of this.#lastSeen.keys()) {
      if (toForget-- === 0) break;
      this.#lastSeen.delete(address);
    }
  }

  #tell(address: string): void {
    for (const watcher of this.#watchers.get(address) ?? []) watcher(address);
  }
}
