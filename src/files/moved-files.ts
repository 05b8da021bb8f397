import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** The file that a name led to when it was opened. */
interface Opened {
  readonly file: string;
  readonly dev: bigint;
  readonly ino: bigint;
}

/**
 * A check that the names of open files still lead to them. If not, everything written to the open files is lost when the
 * process ends. It looks only at names: opening and closing one of SQLite's files would drop SQLite's locks on it (POSIX
 * fcntl).
 */
export class OpenFiles {
  readonly #opened: readonly Opened[];

  /** @param files the names of open files, as the next start will use them @throws the error of the file system */
  constructor(files: readonly string[]) {
    this.#opened = files.map((file) => {
      const { dev, ino } = statSync(file, { bigint: true });
      return { file, dev, ino };
    });
  }

  /** Returns a line for the operator if a file was removed, moved away or replaced; `undefined` if none was. */
  fault(): string | undefined {
    for (const { file, dev, ino } of this.#opened) {
      let found;
      try {
        found = statSync(file, { bigint: true, throwIfNoEntry: false });
      } catch (error) {
        return `${file} cannot be checked (${(error as Error).message})`;
      }
      if (found === undefined) return `${file} was removed or moved away`;
      if (found.ino !== ino || found.dev !== dev) return `${file} was replaced by another file`;
    }
    return undefined;
  }
}

/**
 * A check for changes in the folders of files: a file was made, removed or renamed, or a folder was replaced. It is cheap
 * enough for each commit. Reading the times of a file that is always being written would not be: Linux then writes them
 * to the disk with each flush (multigrain timestamps, since 6.13).
 */
export class Folders {
  readonly #folders: readonly string[];
  /** Each folder as it was seen last. */
  readonly #seen: (Seen | undefined)[];

  constructor(files: readonly string[]) {
    this.#folders = [...new Set(files.map((file) => dirname(resolve(file))))];
    this.#seen = this.#folders.map(look);
  }

  /** Returns whether anything has changed since the last call, or a folder cannot be read. */
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

/** The identity of a folder, and the time of its last change. */
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
