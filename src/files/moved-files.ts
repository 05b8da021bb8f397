import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** The file that a name led to when it was opened. */
interface Opened {
  readonly file: string;
  readonly dev: bigint;
  readonly ino: bigint;
}

/**
 * A check that the names of open files still lead to them. If not, what is written to the open files is lost with the
 * process. It looks only at names: opening and closing one of SQLite's files would drop SQLite's locks on it (POSIX
 * fcntl).
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

  /** Returns which file was removed, moved away or replaced, as a line for the operator; `undefined` if none was. */
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
 * A check whether something was made, removed or renamed in the folders of files, or a folder was replaced. It is cheap
 * enough for each commit. Reading the times of a file that is always being written is not: Linux then writes them to
 * the disk with each flush (multigrain timestamps, since 6.13).
 */
export class Folders {
  readonly #folders: readonly string[];
  /** Each folder as it was seen last. */
  readonly #seen: (Seen | undefined)[];

  constructor(files: readonly string[]) {
    this.#folders = [...new Set(files.map((file) => dirname(resolve(file))))];
    this.#seen = this.#folders.map(look);
  }

  /** Returns whether anything has changed since the last call, or cannot be looked at. */
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
