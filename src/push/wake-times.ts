/** When to look at something again: for each key one time, the earliest of those that were asked for. */
export class WakeTimes {
  readonly #onTime: (key: string) => void;
  readonly #planned = new Map<string, { readonly timer: NodeJS.Timeout; readonly due: number }>();

  /** @param onTime called once the time of a key has come */
  constructor(onTime: (key: string) => void) {
    this.#onTime = onTime;
  }

  /** Plans a time. Nothing is done where an earlier one is planned. */
  plan(key: string, milliseconds: number): void {
    const due = performance.now() + milliseconds;
    const planned = this.#planned.get(key);
    if (planned !== undefined && planned.due <= due) return;
    clearTimeout(planned?.timer);
    const timer = setTimeout(() => {
      this.#planned.delete(key);
      this.#onTime(key);
    }, milliseconds);
    this.#planned.set(key, { timer: timer.unref(), due });
  }
}
