import type { EventStream } from './event-stream.ts';
import { serverFrame } from './frame.ts';

/** Says something on streams that have been silent, so that a device knows a quiet stream from a dead one. */
export class Heartbeats {
  readonly #streams = new Set<EventStream>();
  readonly #silence: number;
  readonly #timer: NodeJS.Timeout;

  /**
   * @param silence after so many milliseconds without a write a heartbeat is due
   * @param now milliseconds since the Unix epoch
   */
  constructor(silence: number, now: () => number) {
    this.#silence = silence;
    // One look at all streams instead of a timer for each: a second late at the most.
    this.#timer = setInterval(() => this.#beat(now()), Math.min(1000, silence / 4));
    this.#timer.unref();
  }

  add(stream: EventStream): void {
    this.#streams.add(stream);
  }

  remove(stream: EventStream): void {
    this.#streams.delete(stream);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(now: number): void {
    const due = performance.now() - this.#silence;
    let frame: string | undefined;
    for (const stream of this.#streams) {
      if (stream.lastWrite > due || !stream.idle) continue;
      frame ??= serverFrame('heartbeat', { at: new Date(now).toISOString() });
      stream.write(frame);
    }
  }
}
