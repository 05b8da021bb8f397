import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { LogFiles } from '../log-metrics.ts';

/**
 * Measures the files of a log and the free space on their disk.
 *
 * @param file the database
 * @returns sizes in bytes; 0 for a file that is missing
 * @throws the file system's error if it cannot be asked
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
