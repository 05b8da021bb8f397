import { type ChildProcess, fork } from 'node:child_process';
import { statSync } from 'node:fs';
import type { Logger } from 'pino';

/** How the check is kept from being in the way. */
interface CheckLimits {
  /** The program of the check: it gets the file's name, and sends `ok` or the first fault. */
  readonly program: URL;
  /** The check is given up when the write-ahead log has grown by so many bytes. */
  readonly walBytes: number;
  /** ... and is begun again after this time, which doubles each time up to an hour. */
  readonly retryMilliseconds: number;
}

const LIMITS: CheckLimits = {
  program: new URL('./integrity-process.js', import.meta.url),
  walBytes: 32 * 1024 * 1024,
  retryMilliseconds: 60_000,
};

const MAX_RETRY_MILLISECONDS = 3_600_000;

/** How often the size of the write-ahead log is looked at. */
const LOOK_MILLISECONDS = 200;

/** How one run of the check ended: what it found, that it was given up, or `undefined`: it cannot be run. */
type Outcome = { readonly result: string } | 'given-up' | undefined;

/**
 * Checks the whole database beside the service: reading all of a large one takes long. It is a process of its own and
 * not a thread, because a thread inside SQLite cannot be stopped, and the end of the service would wait for it. If it
 * cannot run, that is logged, and the service goes on without.
 *
 * A check reads one snapshot of the database, and while that is read, the write-ahead log cannot be reset. So when it
 * grows too much, the check is given up and begun again later.
 *
 * @param onFault called at most once, with SQLite's own words; not if the database is sound
 * @returns ends the check, if it still runs
 */
export function startIntegrityCheck(
  file: string,
  logger: Logger,
  onFault: (fault: string) => void,
  limits = LIMITS,
): () => Promise<void> {
  const ended = new AbortController();
  const checked = checkUntilDone(file, logger, limits, ended.signal).then((result) => {
    if (result !== undefined && result !== 'ok' && !ended.signal.aborted) onFault(result);
  });
  return async () => {
    ended.abort();
    await checked;
  };
}

/** Runs the check until it has come to its end. @returns what it found; `undefined` if it cannot run, or was ended */
async function checkUntilDone(
  file: string,
  logger: Logger,
  limits: CheckLimits,
  ended: AbortSignal,
): Promise<string | undefined> {
  let wait = limits.retryMilliseconds;
  for (let run = 1; !ended.aborted; run++) {
    const outcome = await checkOnce(file, logger, limits, ended);
    if (outcome !== 'given-up') {
      if (run > 1 && outcome !== undefined) logger.info({ runs: run }, 'the database was checked');
      return outcome?.result;
    }
    if (run === 1) {
      logger.info(
        { bytes: limits.walBytes },
        'so much is written that the check of the database is put off: it is tried again later, at most once an hour',
      );
    }
    await sleep(wait, ended);
    wait = Math.min(2 * wait, MAX_RETRY_MILLISECONDS);
  }
  return undefined;
}

async function checkOnce(
  file: string,
  logger: Logger,
  { program, walBytes }: CheckLimits,
  ended: AbortSignal,
): Promise<Outcome> {
  const before = walSize(file);
  const child = fork(program, [file], { execArgv: [], stdio: 'ignore' });
  const stop = (): void => void child.kill('SIGKILL');
  ended.addEventListener('abort', stop);
  const givenUp = new AbortController();
  const watch = setInterval(() => {
    if (walSize(file) - before <= walBytes) return;
    givenUp.abort();
    stop();
  }, LOOK_MILLISECONDS);
  try {
    const result = await resultOf(child, logger, () => givenUp.signal.aborted || ended.aborted);
    if (result !== undefined) return { result };
    return givenUp.signal.aborted ? 'given-up' : undefined;
  } finally {
    clearInterval(watch);
    ended.removeEventListener('abort', stop);
  }
}

/** Waits for the end of the process. @returns what it has found; `undefined` if it ended without, which is logged */
function resultOf(
  child: ChildProcess,
  logger: Logger,
  isStopped: () => boolean,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    let result: string | undefined;
    child.once('message', (found: string) => (result = found));
    child.once('error', (error) => {
      logger.warn({ err: error }, 'the database is not checked: a process for it cannot be started');
      resolve(undefined);
    });
    child.once('exit', (code, signal) => {
      if (result === undefined && !isStopped())
        logger.warn({ code, signal }, 'the check of the database ended without a result');
      resolve(result);
    });
  });
}

/** Bytes of the write-ahead log; 0 if there is none. */
function walSize(file: string): number {
  return statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}

/** Waits, but no longer than until the end of the service. */
function sleep(milliseconds: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    ended.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
