/** Timers by key. Each key has one, for the earliest time that was requested. */
export class WakeTimers {
  readonly #onTime: (key: string) => void;
  readonly #timers = new Map<string, { readonly timer: NodeJS.Timeout; readonly due: number }>();
  #stopped = false;

  /** @param onTime called when the time of a key has come */
  constructor(onTime: (key: string) => void) {
    this.#onTime = onTime;
  }

  /** Sets the timer of a key. Does nothing if it is set to an earlier time, or after `stop`. */
  set(key: string, milliseconds: number): void {
    if (this.#stopped) return;
    const due = performance.now() + milliseconds;
    const earlier = this.#timers.get(key);
    if (earlier !== undefined && earlier.due <= due) return;
    clearTimeout(earlier?.timer);
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      this.#onTime(key);
    }, milliseconds);
    this.#timers.set(key, { timer: timer.unref(), due });
  }

  /** Clears all timers. */
  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
