import { fork } from 'node:child_process';
import type { Logger } from 'pino';

/**
 * Checks the whole database beside the service: reading all of a large one takes long. It is a process of its own and
 * not a thread, because a thread inside SQLite cannot be stopped, and the end of the service would wait for it. Where
 * it cannot run, that is logged, and the service goes on without.
 *
 * @param onFault called at most once, with SQLite's own words; not where the database is sound
 * @returns ends the check, if it still runs
 */
export function startIntegrityCheck(
  file: string,
  logger: Logger,
  onFault: (fault: string) => void,
): () => Promise<void> {
  const child = fork(new URL('./integrity-process.js', import.meta.url), [file], {
    execArgv: [],
    stdio: 'ignore',
  });
  let awaited = true;
  child.once('message', (result: string) => {
    awaited = false;
    if (result !== 'ok') onFault(result);
  });
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      logger.warn({ err: error }, 'the database is not checked: a process for it cannot be started');
      resolve();
    });
    child.once('exit', (code, signal) => {
      if (awaited) logger.warn({ code, signal }, 'the check of the database ended without a result');
      resolve();
    });
  });
  return async () => {
    awaited = false;
    child.kill('SIGKILL');
    await ended;
  };
}
