/**
 * Copies or looks at a database for a command, and sends the reply. A process can be ended in the middle of that, which a
 * thread inside SQLite cannot.
 */
import { startErrorOf } from '../../files/explain.ts';
import { lookAtFile, type DatabaseLook } from './database-look.ts';
import { openForReading } from './database.ts';

/** Something to do with a database; with a `target`, a copy is made there first, and that is looked at. */
export interface DatabaseJob {
  readonly file: string;
  readonly target?: string | undefined;
}

/** What was seen, or why there is nothing. */
export type DatabaseReply = { readonly look: DatabaseLook } | { readonly fault: string };

const parent = process.ppid;

function replyTo({ file, target }: DatabaseJob): DatabaseReply {
  try {
    if (target === undefined) return { look: lookAtFile(file) };
    const reader = openForReading(file);
    try {
      // In one transaction, so that the copy is of one moment. SQLite's backup by pages begins again with each commit of
      // another process, and would never end beside a busy one.
      reader.prepare('VACUUM INTO ?').run(target);
    } finally {
      reader.close();
    }
    // Without its parent it leaves the name of the copy to the next one.
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
