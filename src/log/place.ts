import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { StartError } from '../start-error.ts';

/**
 * Follows all links to the one name of a file, which may not exist yet: so that its log, its lock and its keys lie
 * beside it, whichever name it was given by.
 *
 * @returns an absolute path without links
 * @throws what the file system throws, as for links that lead in a circle
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

/**
 * Checks that a file is one that a log can be kept in. Nothing is done if there is none yet.
 *
 * @param file without links
 * @throws {StartError} if it is no file, or has a second name, beside which SQLite would keep a second write-ahead log
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

/** Makes an empty file that only this user can read, with its folder. Nothing is done if it is there. */
export function makeFile(file: string): void {
  makeFolder(dirname(file));
  if (statSync(file, { throwIfNoEntry: false }) === undefined) closeSync(openSync(file, 'a', 0o600));
}

/**
 * Makes a folder and those above it, which only this user can enter. Not by `recursive`, which in node 20 never returns
 * for a place under /proc.
 */
export function makeFolder(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return;
  makeFolder(dirname(folder));
  mkdirSync(folder, 0o700);
}

/**
 * Tells whether all users of this machine may read a file. Its mode is left as it is: somebody may have meant it.
 *
 * @returns `false` also if there is no such file
 */
export function isReadByAll(file: string): boolean {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
  return (mode & 0o004) !== 0 && (statSync(dirname(file)).mode & 0o001) !== 0;
}

/** The identity of an open file: where its name led when it was opened. */
interface Opened {
  readonly file: string;
  readonly dev: bigint;
  readonly ino: bigint;
}

/**
 * Notices that open files are no longer the ones that their names lead to: what is written to them then is gone with the
 * process. Looks at the names only. To open and close one of SQLite's files would drop the locks that SQLite has on it
 * (POSIX fcntl).
 */
export class OpenFiles {
  readonly #opened: readonly Opened[];

  /** @param files open, by the names that the next start will use; @throws what the file system throws */
  constructor(files: readonly string[]) {
    this.#opened = files.map((file) => {
      const { dev, ino } = statSync(file, { bigint: true });
      return { file, dev, ino };
    });
  }

  /** Names what was removed, moved away or replaced, as a line for the operator; `undefined` if all is in its place. */
  fault(): string | undefined {
    for (const { file, dev, ino } of this.#opened) {
      let found;
      try {
        found = statSync(file, { bigint: true, throwIfNoEntry: false });
      } catch (error) {
        return `${file} cannot be looked at (${(error as Error).message})`;
      }
      if (found === undefined) return `${file} was removed or moved away`;
      if (found.ino !== ino || found.dev !== dev) return `${file} was replaced by another file`;
    }
    return undefined;
  }
}

/**
 * Notices that something was made, removed or renamed in the folders of files, or that a folder is another one: cheap
 * enough for each commit. To ask for the times of a file that is written all the time is not: Linux then has to write them
 * to the disk with each flush (multigrain timestamps, since 6.13).
 */
export class Folders {
  readonly #folders: readonly string[];
  /** What was seen of each when it was looked at last. */
  readonly #seen: (Seen | undefined)[];

  constructor(files: readonly string[]) {
    this.#folders = [...new Set(files.map((file) => dirname(resolve(file))))];
    this.#seen = this.#folders.map(look);
  }

  /** Returns whether anything has changed since it was asked last, or cannot be looked at. */
  haveChanged(): boolean {
    let changed = false;
    for (const [index, folder] of this.#folders.entries()) {
      const before = this.#seen[index];
      const now = look(folder);
      this.#seen[index] = now;
      changed ||=
        now === undefined ||
        now.ctimeMs !== before?.ctimeMs ||
        now.ino !== before.ino ||
        now.dev !== before.dev;
    }
    return changed;
  }
}

/** What tells a folder from another, and from what it was. */
interface Seen {
  readonly dev: number;
  readonly ino: number;
  readonly ctimeMs: number;
}

function look(folder: string): Seen | undefined {
  try {
    return statSync(folder, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** The places where something is mounted; none if the system does not tell (proc_pid_mountinfo(5)). */
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
