import { ByFraming } from '../wire/by-framing.ts';
import { type PresenceState, toWire } from '../wire/presence-state.ts';

/** The frame of an address's presence, in each framing. */
export class PresenceFrame extends ByFraming<Buffer> {
  readonly online: boolean;

  constructor(recipient: string, state: PresenceState) {
    super((framing) => framing.encode([framing.event('presence', { recipient, ...toWire(state) })]));
    this.online = state.online;
  }
}

/** A stream that watches the presence of addresses. */
export interface Watcher {
  readonly watched: readonly string[];
  /** Notes that an address has changed, so that the next `tell` sends its state. */
  note(address: string): void;
  /** Sends the states of the noted addresses. */
  tell(): void;
}

/**
 * The watchers of each address. They are told of changes in steps: each watcher gets one write with everything that has
 * changed by then. A frame is encoded once for all watchers.
 */
export class PresenceWatchers {
  readonly #state: (address: string) => PresenceState;
  readonly #watchers = new Map<string, Set<Watcher>>();
  /** Changed addresses that their watchers have not noted yet. */
  #changed = new Set<string>();
  readonly #toTell = new Set<Watcher>();
  /** Cached frames of addresses, while watchers are being told. */
  readonly #frames = new Map<string, PresenceFrame>();
  #isTelling = false;

  /** @param state returns the current state of an address */
  constructor(state: (address: string) => PresenceState) {
    this.#state = state;
  }

  /** Adds a watcher, which is told of later changes to its addresses. */
  add(watcher: Watcher): void {
    for (const address of watcher.watched) {
      const watchers = this.#watchers.get(address);
      if (watchers === undefined) this.#watchers.set(address, new Set([watcher]));
      else watchers.add(watcher);
    }
  }

  /** Removes a watcher, which is then told nothing more. Does nothing if it is unknown. */
  remove(watcher: Watcher): void {
    this.#toTell.delete(watcher);
    for (const address of watcher.watched) {
      const watchers = this.#watchers.get(address);
      if (watchers?.delete(watcher) === true && watchers.size === 0) this.#watchers.delete(address);
    }
  }

  /** Returns the current state of an address as frames. */
  frame(address: string): PresenceFrame {
    let frame = this.#frames.get(address);
    if (frame === undefined) {
      frame = new PresenceFrame(address, this.#state(address));
      if (this.#isTelling) this.#frames.set(address, frame);
    }
    return frame;
  }

  /**
   * Notes that the state of an address has changed.
   *
   * @param cameOrWent whether it went online or offline, so that its watchers must be told
   */
  changed(address: string, cameOrWent: boolean): void {
    this.#frames.delete(address);
    if (cameOrWent && this.#watchers.has(address)) this.#changed.add(address);
  }

  /**
   * Returns a job that tells watchers of all changes. The job is empty if an earlier one is still running, since that
   * tells these too.
   */
  tell(): Iterable<unknown> {
    if (this.#isTelling || this.#changed.size === 0) return [];
    this.#isTelling = true;
    return this.#tellAll();
  }

  *#tellAll(): Generator {
    while (this.#changed.size > 0) {
      const changed = this.#changed;
      this.#changed = new Set();
      for (const address of changed) {
        for (const watcher of this.#watchers.get(address) ?? []) {
          watcher.note(address);
          this.#toTell.add(watcher);
          yield;
        }
      }
      for (const watcher of this.#toTell) {
        this.#toTell.delete(watcher);
        watcher.tell();
        yield;
      }
    }
    this.#frames.clear();
    this.#isTelling = false;
  }
}
