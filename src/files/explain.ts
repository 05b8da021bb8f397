import { StartError } from '../start-error.ts';

/**
 * Runs a step of opening a file, and turns an error of the file system or SQLite into a line for people.
 *
 * @returns the step's result
 * @throws {StartError}
 */
export function explain<T>(file: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw startErrorOf(file, error);
  }
}

/** Turns an error of the file system or SQLite into a line for people. */
export function startErrorOf(file: string, error: unknown): StartError {
  if (error instanceof StartError) return error;
  // An error from another thread has lost its class.
  const isLine = error instanceof Error && error.name === 'StartError';
  return new StartError(isLine ? error.message : lineOf(file, error), { cause: error });
}

function lineOf(file: string, error: unknown): string {
  const code = String((error as { code?: unknown }).code);
  const why = error instanceof Error ? error.message : String(error);
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) {
    return `${file} is corrupt (${why}). Restore it from a backup; nothing was changed.`;
  }
  if (/^(SQLITE_(FULL|IOERR_SHMSIZE)|ENOSPC|EDQUOT)/.test(code)) {
    return `${file} cannot be opened: its disk is full (${code}: ${why}). Make room there, then start again.`;
  }
  if (/^SQLITE_(READONLY|CANTOPEN|PERM|IOERR)|^E(ACCES|PERM|ROFS)$/.test(code)) {
    return (
      `${file} cannot be written (${why}). Give this user the right to write the file and its folder, ` +
      'or set DATABASE to another path.'
    );
  }
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
    return `${file} is locked by another program (${why}). End that program, then start again.`;
  }
  return `${file} cannot be opened (${code}: ${why}). Fix that, or set DATABASE to another path.`;
}
