import type { Logger } from 'pino';

/** A service that has not ended by then is ended at once. */
const END_MILLISECONDS = 4800;

/** npm repeats a Ctrl-C that its child has got from the terminal already: not yet a second wish to end. */
const SAME_SIGNAL_MILLISECONDS = 500;

/** SIGHUP: the terminal that it was started from is closed. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** How the process ends at a signal. */
export interface Ending {
  /** Whether a signal has come: what is still being started need not be. */
  readonly isUnderWay: boolean;
  /** Ends what there is to end at this point of the start. */
  end: () => Promise<void>;
}

/**
 * Ends the process at a signal with code 0, when `end` of what this returns has done its work; at a second signal, or if
 * that takes too long, at once with code 1. To be called before anything is opened, so that no signal finds it open and
 * nobody to close it.
 */
export function endOnSignal(logger: Logger): Ending {
  let since: number | undefined;
  const ending = {
    get isUnderWay() {
      return since !== undefined;
    },
    end: () => Promise.resolve(),
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (since !== undefined) {
      if (performance.now() - since < SAME_SIGNAL_MILLISECONDS) return;
      logger.warn({ signal }, 'a second signal: ending at once');
      process.exit(1);
    }
    since = performance.now();
    logger.info({ signal }, 'shutting down');
    setTimeout(() => {
      logger.error('shutting down took too long: ending at once');
      process.exit(1);
    }, END_MILLISECONDS).unref();
    void ending.end().then(() => {
      logger.info('ended');
      process.exit(0);
    });
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return ending;
}
