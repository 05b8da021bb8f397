import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';

/** Not through a link: what that leads to would be overwritten. */
const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

/** What is written at once. It is random, since a file system that compresses would give zeros no room. */
const PIECE = 1024 * 1024;

/**
 * A file beside the database that keeps room on the disk. When the disk is full it is made empty, so that the log can
 * be checkpointed and purged, which both need room before they make some.
 */
export class Reserve {
  readonly #file: string;
  #descriptor: number | undefined;
  #piece: Buffer | undefined;
  #size = 0;

  /** @param file made when it is first needed */
  constructor(file: string) {
    this.#file = file;
  }

  /** How many bytes it keeps. */
  get size(): number {
    return this.#size;
  }

  /** Opens the file, and makes it if missing. Nothing is done if it is open. @throws what the file system throws */
  open(): void {
    this.#opened();
  }

  /**
   * Brings it nearer to a size.
   *
   * @param target bytes
   * @param most at most this many bytes are written
   * @returns whether it has that size
   * @throws what the file system throws; what was written until then stays
   */
  grow(target: number, most = Infinity): boolean {
    const descriptor = this.#opened();
    if (this.#size > target) {
      ftruncateSync(descriptor, target);
      this.#size = target;
    }
    const end = Math.min(target, this.#size + most);
    while (this.#size < end) this.#size += this.#write(descriptor, this.#size, end);
    return this.#size === target;
  }

  /**
   * Takes bytes on top of what it keeps and gives them back: only the file system knows whether there is room (a quota,
   * say, is not in what it tells).
   *
   * @throws what the file system throws, if there is none
   */
  tryRoom(bytes: number): void {
    const descriptor = this.#opened();
    const end = this.#size + bytes;
    try {
      for (let at = this.#size; at < end;) at += this.#write(descriptor, at, end);
    } finally {
      ftruncateSync(descriptor, this.#size);
    }
  }

  /** Gives back all that it keeps. Nothing is done if that is nothing. @throws what the file system throws */
  release(): void {
    if (this.#size === 0) return;
    ftruncateSync(this.#opened(), 0);
    this.#size = 0;
  }

  /** Closes the file; what it keeps stays. */
  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #opened(): number {
    // Someone who looks for room may have removed it: then its room comes back when it is closed.
    if (this.#descriptor !== undefined && fstatSync(this.#descriptor).nlink === 0) this.close();
    if (this.#descriptor === undefined) {
      this.#descriptor = openSync(this.#file, FLAGS, 0o600);
      this.#size = fstatSync(this.#descriptor).size;
    }
    return this.#descriptor;
  }

  #write(descriptor: number, at: number, end: number): number {
    this.#piece ??= randomFillSync(Buffer.alloc(PIECE));
    return writeSync(descriptor, this.#piece, 0, Math.min(PIECE, end - at), at);
  }
}

/**
 * Gives back what the reserve of a database keeps, before anybody has opened that: to open it takes room as well.
 *
 * @returns whether there is more room now
 */
export function giveBackReserve(database: string): boolean {
  const file = reserveFile(database);
  try {
    if (statSync(file).size === 0) return false;
    truncateSync(file);
    return true;
  } catch {
    return false;
  }
}

/** Where the reserve of a database lies. */
export function reserveFile(database: string): string {
  return `${database}-reserve`;
}
