import type { FairScheduler } from '../fair-scheduler.ts';
import type { Connection } from '../wire/connection.ts';
import type { Framing } from '../wire/framing.ts';

/** A stream that gets heartbeats. */
export interface HeartbeatTarget {
  readonly connection: Connection;
  readonly framing: Framing;
}

/** The heartbeats of all streams. They show clients that a quiet stream is not dead. */
export class Heartbeats {
  /** The silence after which a heartbeat is due, in seconds. */
  readonly seconds: number;
  readonly #streams = new Set<HeartbeatTarget>();
  readonly #silence: number;
  readonly #scheduler: FairScheduler;
  readonly #now: () => number;
  #stop: (() => void) | undefined;

  /**
   * @param silence milliseconds without a write after which a heartbeat is due
   * @param now milliseconds since the Unix epoch
   */
  constructor(silence: number, scheduler: FairScheduler, now: () => number) {
    this.#silence = silence;
    this.seconds = silence / 1000;
    this.#scheduler = scheduler;
    this.#now = now;
  }

  /** Starts checking for silent streams. */
  start(): void {
    // One check of all streams instead of a timer for each. A heartbeat is late by at most a second.
    this.#stop = this.#scheduler.every(Math.min(1000, this.#silence / 4), () => this.#beat(this.#now()));
  }

  /** Stops the heartbeats. */
  stop(): void {
    this.#stop?.();
  }

  add(stream: HeartbeatTarget): void {
    this.#streams.add(stream);
  }

  remove(stream: HeartbeatTarget): void {
    this.#streams.delete(stream);
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
