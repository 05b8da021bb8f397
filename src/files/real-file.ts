import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/**
 * Follows all links in the name of a file, which may not exist yet. So its log, its lock and its keys are beside the
 * file itself, whichever link is used.
 *
 * @returns an absolute path without links
 * @throws the error of the file system, such as for a loop of links
 */
export function realFile(file: string): string {
  const path = resolve(file);
  try {
    return realpathSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  if (path === dirname(path)) return path;
  const folder = realFile(dirname(path));
  const entry = lstatSync(join(folder, basename(path)), { throwIfNoEntry: false });
  if (entry?.isSymbolicLink() !== true) return join(folder, basename(path));
  return realFile(resolve(folder, readlinkSync(join(folder, basename(path)))));
}
