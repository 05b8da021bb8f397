/**
 * Copies or examines a database for a command, and sends the reply. It is a process because, unlike a thread inside
 * SQLite, a process can be killed in the middle of this.
 */
import { startErrorOf } from '../../files/explain.ts';
import { lookAtFile, type DatabaseLook } from './database-look.ts';
import { openForReading } from './database.ts';

/** A database to examine. With a `target`, the database is first copied there, and the copy is examined. */
export interface DatabaseJob {
  readonly file: string;
  readonly target?: string | undefined;
}

/** The result of the job, or the reason why there is none. */
export type DatabaseReply = { readonly look: DatabaseLook } | { readonly fault: string };

const parent = process.ppid;

function replyTo({ file, target }: DatabaseJob): DatabaseReply {
  try {
    if (target === undefined) return { look: lookAtFile(file) };
    const reader = openForReading(file);
    try {
      // In one transaction, so that the copy shows one moment. SQLite's page-by-page backup starts over at each commit
      // of another process, and would never finish beside a busy one.
      reader.prepare('VACUUM INTO ?').run(target);
    } finally {
      reader.close();
    }
    // If the parent has ended, exit and leave the name of the copy to the next job.
    if (process.ppid !== parent) process.exit(1);
    return { look: lookAtFile(target) };
  } catch (error) {
    const isFull = /^SQLITE_(FULL|IOERR_WRITE)/.test(String((error as { code?: unknown }).code));
    return { fault: startErrorOf(isFull ? (target ?? file) : file, error).message };
  }
}

process.once('disconnect', () => process.exit(1));
process.once('message', (job: DatabaseJob) => {
  process.send?.(replyTo(job), () => process.disconnect());
});
