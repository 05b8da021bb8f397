import { closeSync, fsyncSync, openSync } from 'node:fs';

/** Has the system write a file, or the names in a folder, to the disk. @throws the file system's error */
export function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
