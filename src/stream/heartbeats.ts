import type { Turns } from '../hub/turns.ts';
import type { Connection } from './connection.ts';
import type { Framing } from './framing.ts';

/** What heartbeats are said on. */
export interface Beating {
  readonly connection: Connection;
  readonly framing: Framing;
}

/** Says something on streams that have been silent, so that a device knows a quiet stream from a dead one. */
export class Heartbeats {
  /** The silence after which a heartbeat is due, in seconds. */
  readonly seconds: number;
  readonly #streams = new Set<Beating>();
  readonly #silence: number;
  readonly #stop: () => void;

  /**
   * @param silence after so many milliseconds without a write a heartbeat is due
   * @param now milliseconds since the Unix epoch
   */
  constructor(silence: number, turns: Turns, now: () => number) {
    this.#silence = silence;
    this.seconds = silence / 1000;
    // One look at all streams instead of a timer for each: a second late at most.
    this.#stop = turns.every(Math.min(1000, silence / 4), () => this.#beat(now()));
  }

  add(stream: Beating): void {
    this.#streams.add(stream);
  }

  remove(stream: Beating): void {
    this.#streams.delete(stream);
  }

  stop(): void {
    this.#stop();
  }

  *#beat(now: number): Generator {
    const due = performance.now() - this.#silence;
    const frames = new Map<Framing, Buffer>();
    for (const { connection, framing } of this.#streams) {
      if (connection.lastWrite > due || !connection.idle) continue;
      let frame = frames.get(framing);
      if (frame === undefined) {
        frame = framing.encode([framing.event('heartbeat', { at: new Date(now).toISOString() })]);
        frames.set(framing, frame);
      }
      connection.write(frame);
      yield;
    }
  }
}
