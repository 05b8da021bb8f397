import type { Logger } from 'pino';

/** If the service has not closed after this time, the process ends at once. */
const END_MILLISECONDS = 4800;

/** A second signal within this time is ignored: npm repeats a Ctrl-C that its child also got from the terminal. */
const SAME_SIGNAL_MILLISECONDS = 500;

/** SIGHUP: the terminal that the service was started from has closed. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * Ends the process at a signal: with code 0 when `close` is done; at once with code 1 if that takes too long, or at a
 * second signal. Call it before anything is opened, so that a signal at any time closes what is open.
 *
 * @param close closes all that is open at that time
 */
export function endOnSignal(logger: Logger, close: () => Promise<void>): void {
  let since: number | undefined;
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
    void close().then(() => {
      logger.info('ended');
      process.exit(0);
    });
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
}
