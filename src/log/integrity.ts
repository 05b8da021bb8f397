import { fork } from 'node:child_process';
import { once } from 'node:events';

/** What a check found: `fault` is SQLite's own text, and undefined where the database is sound. */
export interface IntegrityReport {
  readonly fault: string | undefined;
}

/**
 * Checks the whole database beside the service: reading all of a large one takes long. It is a process of its own and
 * not a thread, because a thread inside SQLite cannot be stopped, and the end of the service would wait for it.
 *
 * @param onReport called at most once, not where the check was ended or could not run
 * @returns ends the check, if it still runs
 */
export function startIntegrityCheck(
  file: string,
  onReport: (report: IntegrityReport) => void,
): () => Promise<void> {
  const child = fork(new URL('./integrity-process.js', import.meta.url), [file], {
    execArgv: [],
    stdio: 'ignore',
  });
  child.once('message', (result: string) => onReport({ fault: result === 'ok' ? undefined : result }));
  const ended = once(child, 'exit');
  return async () => {
    if (child.exitCode === null) child.kill('SIGKILL');
    await ended;
  };
}
