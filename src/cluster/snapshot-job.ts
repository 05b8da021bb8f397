import { type ChildProcess, fork } from 'node:child_process';
import type { JobReply, MadeSnapshot, MakeJob, TakeJob } from './snapshot-process.ts';

/** The program that runs jobs. */
const PROGRAM = new URL('./snapshot-process.js', import.meta.url);

/** The interval at which a running job is checked. */
const LOOK_MILLISECONDS = 200;

/** The options of a job. */
interface JobOptions {
  /** Ends the job. */
  readonly signal: AbortSignal;
  /** Called repeatedly; ends the job if it returns a reason. */
  readonly faultOf?: () => string | undefined;
  /** The program that runs jobs, if it is not beside this file. */
  readonly program?: URL | undefined;
}

/**
 * Runs a snapshot job in a separate process, since it takes minutes and much memory.
 *
 * @throws {Error} with the reason why there is no result
 */
export async function runJob(job: MakeJob, options: JobOptions): Promise<MadeSnapshot>;
export async function runJob(job: TakeJob, options: JobOptions): Promise<void>;
export async function runJob(
  job: MakeJob | TakeJob,
  { signal, faultOf, program = PROGRAM }: JobOptions,
): Promise<unknown> {
  signal.throwIfAborted();
  const child = fork(program, [], { execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  const stop = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', stop);
  let fault: string | undefined;
  const watch = setInterval(() => {
    fault = faultOf?.();
    if (fault !== undefined) stop();
  }, LOOK_MILLISECONDS);
  try {
    child.send(job, () => undefined);
    const reply = await replyOf(child);
    if (reply === undefined || 'fault' in reply)
      throw new Error(fault ?? reply?.fault ?? 'its process was ended');
    return reply.result;
  } finally {
    clearInterval(watch);
    signal.removeEventListener('abort', stop);
  }
}

/** Waits until a process ends. @returns its reply; `undefined` if it sent none */
function replyOf(child: ChildProcess): Promise<JobReply<unknown> | undefined> {
  return new Promise((resolve) => {
    let reply: JobReply<unknown> | undefined;
    child.once('message', (message: JobReply<unknown>) => (reply = message));
    child.once('error', (error) =>
      resolve({ fault: `a process for it cannot be started (${error.message})` }),
    );
    child.once('exit', () => resolve(reply));
  });
}
