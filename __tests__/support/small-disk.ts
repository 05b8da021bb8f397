/** A file system of its own, as small as a test wants it: it really is full, or read-only (Linux, as root). */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@jest/globals';
import { newFolder, undoAtEnd } from './server.ts';

/** The number of bytes that a file system in memory allocates at a time. */
const PAGE = Buffer.alloc(4096);

/** A `test` that mounts a file system: skipped with one line where that is not allowed, but not in CI. */
export const diskTest = ((): typeof test | typeof test.skip => {
  // In a namespace of its own, so that this try leaves nothing behind.
  const allowed = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
  if (allowed || process.env['CI'] === 'true') return test;
  process.stderr.write('Tests that fill a disk are skipped (they mount one: run them as root).\n');
  return test.skip;
})();

export class SmallDisk {
  readonly folder: string;
  readonly #filler: string;

  /** @param files how many there can be on it */
  constructor(mebibytes: number, files = 1000) {
    this.folder = newFolder();
    this.#filler = join(this.folder, 'filler');
    execFileSync('mount', [
      '-t',
      'tmpfs',
      '-o',
      `size=${mebibytes}m,nr_inodes=${files}`,
      'tmpfs',
      this.folder,
    ]);
    undoAtEnd(() => execFileSync('umount', ['--lazy', this.folder]));
  }

  /** A file for the log. */
  get database(): string {
    return join(this.folder, 'tidings.sqlite');
  }

  /** Takes all the room that is left, also while others write. */
  fill(): void {
    const descriptor = openSync(this.#filler, 'a');
    try {
      for (;;) writeSync(descriptor, PAGE);
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ENOSPC') throw error;
    } finally {
      closeSync(descriptor);
    }
  }

  /** Gives the room back. */
  makeRoom(): void {
    rmSync(this.#filler);
  }

  /** From now on nothing can be written; nobody may have a file open for writing. */
  makeReadOnly(): void {
    execFileSync('mount', ['-o', 'remount,ro', this.folder]);
  }

  /** It can be written again. */
  makeWritable(): void {
    execFileSync('mount', ['-o', 'remount,rw', this.folder]);
  }
}
