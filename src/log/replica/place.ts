import { readFileSync, statSync } from 'node:fs';
import { StartError } from '../../start-error.ts';

/**
 * Checks that a file is a safe place for a log. Does nothing if the file does not exist yet.
 *
 * @param file without links
 * @throws {StartError} if it is not a file, is mounted by itself, or has a second name, beside which SQLite would keep
 *   a second write-ahead log
 */
export function checkPlace(file: string): void {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isFile()) throw new StartError(`${file} is not a file. Set DATABASE to a file's path.`);
  if (found.nlink > 1) {
    throw new StartError(
      `${file} has ${found.nlink} names (hard links). A process that opens it by another one damages it: remove the ` +
        'others, or set DATABASE to a copy.',
    );
  }
  if (mountPoints().includes(file)) {
    throw new StartError(
      `${file} is mounted by itself, so that its write-ahead log would lie elsewhere and be lost. Mount its folder.`,
    );
  }
}

/** Returns the paths of all mounts; an empty list if the system does not list them (proc_pid_mountinfo(5)). */
function mountPoints(): string[] {
  let text: string;
  try {
    text = readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return [];
  }
  const unescape = (path: string): string =>
    path.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
  return text.split('\n').map((line) => unescape(line.split(' ')[4] ?? ''));
}
