import { ByFraming } from './by-framing.ts';
import { type PresenceState, toWire } from './presence-state.ts';

/** The frame of an address's state, by framing. */
export class PresenceFrame extends ByFraming<Buffer> {
  readonly online: boolean;

  constructor(recipient: string, state: PresenceState) {
    super((framing) => framing.encode([framing.event('presence', { recipient, ...toWire(state) })]));
    this.online = state.online;
  }
}

/** A stream that watches addresses. */
export interface Watcher {
  readonly watched: readonly string[];
  /** An address has changed: it is to be told at the next `tell`. */
  note(address: string): void;
  /** Tells what was noted. */
  tell(): void;
}

/**
 * Tells watchers which addresses came or went. They are told in steps, each in one write of all that has changed by
 * then; a frame is encoded once, however many watch it.
 */
export class Watching {
  readonly #state: (address: string) => PresenceState;
  readonly #watchers = new Map<string, Set<Watcher>>();
  /** Addresses whose change is not noted by their watchers yet. */
  #changed = new Set<string>();
  readonly #toTell = new Set<Watcher>();
  /** Of the addresses that are being told. */
  readonly #frames = new Map<string, PresenceFrame>();
  #isTelling = false;

  /** @param state the state of an address now */
  constructor(state: (address: string) => PresenceState) {
    this.#state = state;
  }

  /** From now on a watcher is told of its addresses. */
  add(watcher: Watcher): void {
    for (const address of watcher.watched) {
      const watchers = this.#watchers.get(address);
      if (watchers === undefined) this.#watchers.set(address, new Set([watcher]));
      else watchers.add(watcher);
    }
  }

  /** A watcher is told nothing more. Nothing is done if it is not known. */
  remove(watcher: Watcher): void {
    this.#toTell.delete(watcher);
    for (const address of watcher.watched) {
      const watchers = this.#watchers.get(address);
      if (watchers?.delete(watcher) === true && watchers.size === 0) this.#watchers.delete(address);
    }
  }

  /** What is told of an address now. */
  frame(address: string): PresenceFrame {
    let frame = this.#frames.get(address);
    if (frame === undefined) {
      frame = new PresenceFrame(address, this.#state(address));
      if (this.#isTelling) this.#frames.set(address, frame);
    }
    return frame;
  }

  /** The state of an address is another; `cameOrWent` if its watchers are to hear of it. */
  changed(address: string, cameOrWent: boolean): void {
    this.#frames.delete(address);
    if (cameOrWent && this.#watchers.has(address)) this.#changed.add(address);
  }

  /** Tells what has changed: the steps of a job. There are none if an earlier one is not done, which tells this too. */
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
