import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { LogFiles } from './message-log.ts';

/**
 * Looks at the files of a log.
 *
 * @param file the database; what is not there has 0 bytes
 * @throws what the file system throws, where it cannot be asked
 */
export async function measureFiles(file: string): Promise<LogFiles> {
  const [database, wal, disk] = await Promise.all([
    sizeOf(file),
    sizeOf(`${file}-wal`),
    statfs(dirname(file)),
  ]);
  return { database, wal, available: disk.bavail * disk.bsize };
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
