import type { RetentionTime } from './retention-clock.ts';
import type { UpkeepTask } from './upkeep-task.ts';

/** The interval between notes. It is long, so that an idle log writes next to nothing. */
const NOTE_MILLISECONDS = 10 * 60_000;

/** The task that stores the time of retention, so that the next start can compare the clock with it. */
export class RetentionTimeNote implements UpkeepTask {
  isDue = true;
  readonly #clock: () => number;
  readonly #note: (held: number) => void;
  #notedAt = 0;

  constructor(clock: () => number, note: (held: number) => void) {
    this.#clock = clock;
    this.#note = note;
  }

  tick(): void {
    this.isDue ||= this.#clock() - this.#notedAt >= NOTE_MILLISECONDS;
  }

  run({ held }: RetentionTime): number {
    this.#note(held);
    this.#notedAt = this.#clock();
    this.isDue = false;
    return 1;
  }
}
