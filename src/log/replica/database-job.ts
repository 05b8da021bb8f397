import { type ChildProcess, fork } from 'node:child_process';
import { StartError } from '../../start-error.ts';
import type { DatabaseLook } from './database-look.ts';
import type { DatabaseJob, DatabaseReply } from './database-process.ts';
import { isRoomShort } from './disk-space.ts';

const PROGRAM = new URL('./database-process.js', import.meta.url);

/** The interval at which the free space is checked. */
const LOOK_MILLISECONDS = 200;

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * Copies or examines a database in a separate process. Data that a running service writes meanwhile stays in its
 * write-ahead log, so the job is abandoned when the disk of the database or of the copy is nearly full.
 *
 * @throws {StartError} with the reason why it failed
 */
export async function runDatabaseJob(job: DatabaseJob): Promise<DatabaseLook> {
  const child = fork(PROGRAM, [], { execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  let fault: string | undefined;
  const stop = (why: string): void => {
    fault ??= why;
    child.kill('SIGKILL');
  };
  const onSignal = (signal: NodeJS.Signals): void => stop(`It was ended by ${signal}.`);
  for (const signal of SIGNALS) process.on(signal, onSignal);
  const disks = [job.file, ...(job.target === undefined ? [] : [job.target])];
  const watch = setInterval(() => {
    const full = disks.find((file) => isRoomShort(file));
    if (full !== undefined) stop(`The disk of ${full} is nearly full. Make room there, then try again.`);
  }, LOOK_MILLISECONDS);
  try {
    child.send(job, () => undefined);
    const reply = await replyOf(child);
    if (reply !== undefined && 'look' in reply && fault === undefined) return reply.look;
    const said = reply !== undefined && 'fault' in reply ? reply.fault : undefined;
    throw new StartError(fault ?? said ?? 'The process that reads the database was ended.');
  } finally {
    clearInterval(watch);
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

/** Waits until a process ends. @returns its reply; `undefined` if it sent none */
function replyOf(child: ChildProcess): Promise<DatabaseReply | undefined> {
  return new Promise((resolve) => {
    let reply: DatabaseReply | undefined;
    child.once('message', (message: DatabaseReply) => (reply = message));
    child.once('error', ({ message }) =>
      resolve({ fault: `A process that reads the database cannot be started (${message}).` }),
    );
    child.once('exit', () => resolve(reply));
  });
}
