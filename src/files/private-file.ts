import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Makes an empty file that only this user can read, with its folder. Does nothing if it exists. */
export function makeFile(file: string): void {
  makeFolder(dirname(file));
  if (statSync(file, { throwIfNoEntry: false }) === undefined) closeSync(openSync(file, 'a', 0o600));
}

/**
 * Makes a folder and its missing parents, which only this user can enter. Does nothing if it exists. Does not use
 * `recursive`: with it, Node 20 never returns for a path under /proc.
 */
export function makeFolder(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return;
  makeFolder(dirname(folder));
  mkdirSync(folder, 0o700);
}

/**
 * Returns whether all users of this machine may read a file. Does not change its mode, which may be intended.
 *
 * @returns `false` also if there is no such file
 */
export function isReadByAll(file: string): boolean {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
  return (mode & 0o004) !== 0 && (statSync(dirname(file)).mode & 0o001) !== 0;
}
