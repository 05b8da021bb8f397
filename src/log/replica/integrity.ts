import { type ChildProcess, fork } from 'node:child_process';
import { statSync } from 'node:fs';
import type { Logger } from 'pino';

/** The limits that keep the check out of the way. */
export interface CheckLimits {
  /** The program that checks. Its argument is the file's name, and it sends `ok` or the first fault. */
  readonly program: URL;
  /** The check is abandoned when the write-ahead log has grown by this many bytes. */
  readonly walBytes: number;
  /** An abandoned check is repeated after this time, which doubles each time, up to an hour. */
  readonly retryMilliseconds: number;
  /** A sound database is checked again after this time; `undefined` for never. */
  readonly againMilliseconds?: number | undefined;
}

/** The limits for a single machine, whose database is checked once, at the start. */
export const CHECK_LIMITS: CheckLimits = {
  program: new URL('./integrity-process.js', import.meta.url),
  walBytes: 32 * 1024 * 1024,
  retryMilliseconds: 60_000,
};

const MAX_RETRY_MILLISECONDS = 3_600_000;

/** The interval at which the size of the write-ahead log is checked. */
const LOOK_MILLISECONDS = 200;

/** The outcome of one run of the check: its result, `given-up`, or `undefined` if it cannot run or was ended. */
type Outcome = { readonly result: string } | 'given-up' | undefined;

/**
 * Checks the whole database while the service runs, since reading a large one takes long. The check is a process, not a
 * thread: a thread inside SQLite cannot be stopped, so the service could not end before it. If the check cannot run,
 * logs that and continues without it.
 *
 * A check reads one snapshot of the database, which keeps the write-ahead log from being reset. If the write-ahead log
 * grows too much, the check is abandoned and repeated later.
 *
 * @param onFault called at most once, with SQLite's own words; not called if the database is sound
 * @returns a function that ends the check if it is still running
 */
export function startIntegrityCheck(
  file: string,
  logger: Logger,
  onFault: (fault: string) => void,
  limits = CHECK_LIMITS,
): () => Promise<void> {
  const ended = new AbortController();
  const checked = keepChecking(file, logger, limits, ended.signal).then((result) => {
    if (result !== undefined && result !== 'ok' && !ended.signal.aborted) onFault(result);
  });
  return async () => {
    ended.abort();
    await checked;
  };
}

/** Checks the database, repeatedly if the limits ask for it. @returns the last result, as `checkUntilDone` does */
async function keepChecking(
  file: string,
  logger: Logger,
  limits: CheckLimits,
  ended: AbortSignal,
): Promise<string | undefined> {
  const { againMilliseconds } = limits;
  let result = await checkUntilDone(file, logger, limits, ended);
  while (againMilliseconds !== undefined && !ended.aborted && (result === 'ok' || result === undefined)) {
    await sleep(againMilliseconds, ended);
    result = await checkUntilDone(file, logger, limits, ended);
  }
  return result;
}

/** Repeats the check until it completes. @returns its result; `undefined` if it cannot run or was ended */
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
        'so much is being written that the check of the database is put off: it is tried again later, at most once an hour',
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

/**
 * Waits for the process to end.
 *
 * @returns its result; `undefined` if there is none, which is logged unless it was stopped
 */
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

/** Returns the size of the write-ahead log in bytes; 0 if there is none. */
function walSize(file: string): number {
  return statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}

/** Waits for a time, or until the check is ended. */
function sleep(milliseconds: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    ended.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
