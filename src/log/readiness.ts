import { LogUnavailable, type MessageLog } from './message-log.ts';

/** A disk that takes longer than this to answer is not ready. */
const PROBE_MILLISECONDS = 2000;

/** One probe, an fsync, serves all who ask within this time: some of them need no token. */
const FRESH_MILLISECONDS = 1000;

/** Whether the log can be written and read, tried out. */
export class Readiness {
  readonly #log: MessageLog;
  #probed = -Infinity;
  /** What the log said of itself at that time. */
  #refusing: string | undefined;
  #probe = Promise.resolve();

  constructor(log: MessageLog) {
    this.#log = log;
  }

  /** Tries it, or waits for the try of another who asked within the last second. @throws {LogUnavailable} where it cannot */
  async check(): Promise<void> {
    const { refusing } = this.#log;
    // It changes with what publishes are answered, and not up to a second later.
    if (performance.now() - this.#probed > FRESH_MILLISECONDS || refusing !== this.#refusing) {
      this.#probed = performance.now();
      this.#refusing = refusing;
      this.#probe = this.#log.probe();
    }
    await withTimeout(this.#probe);
  }
}

async function withTimeout(probe: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new LogUnavailable(`the disk does not answer within ${PROBE_MILLISECONDS} ms`)),
      PROBE_MILLISECONDS,
    );
  });
  try {
    await Promise.race([probe, late]);
  } finally {
    clearTimeout(timer);
  }
}
