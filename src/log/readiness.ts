import type { Logger } from 'pino';
import { type LogHealth, LogUnavailable } from './message-log.ts';

/** A disk that takes longer than this to answer is not ready. */
const PROBE_MILLISECONDS = 2000;

/**
 * One probe, which costs an fsync, serves all requests within this time, since anybody may send some of them without a
 * token.
 */
const FRESH_MILLISECONDS = 1000;

/** The readiness of the log, tested by writing and reading. Only changes are logged, not each probe. */
export class Readiness {
  readonly #log: LogHealth;
  readonly #logger: Logger;
  readonly #fault: () => string | undefined;
  #probed = -Infinity;
  /** The log's own `refusing` at the time of the last probe. */
  #refusing: string | undefined;
  #probe = Promise.resolve();
  #isReady = true;

  /** @param fault returns why this node should not be used even though its log works, as the end of a sentence */
  constructor(log: LogHealth, logger: Logger, fault: () => string | undefined = () => undefined) {
    this.#log = log;
    this.#logger = logger;
    this.#fault = fault;
  }

  /**
   * Probes the log, or awaits a probe that began within the last second.
   *
   * @throws {LogUnavailable} if the probe fails or takes too long, or if this node should not be used
   */
  async check(): Promise<void> {
    try {
      await this.#check();
    } catch (error) {
      if (this.#isReady) this.#logger.warn({ why: (error as Error).message }, 'the service is not ready');
      this.#isReady = false;
      throw error;
    }
    if (!this.#isReady) this.#logger.info('the service is ready again');
    this.#isReady = true;
  }

  async #check(): Promise<void> {
    const { refusing } = this.#log;
    // Readiness must change together with the answers to publishes, not up to a second later.
    if (performance.now() - this.#probed > FRESH_MILLISECONDS || refusing !== this.#refusing) {
      this.#probed = performance.now();
      this.#refusing = refusing;
      this.#probe = this.#log.probe();
    }
    await withTimeout(this.#probe);
    const fault = this.#fault();
    if (fault !== undefined) throw new LogUnavailable(fault);
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
