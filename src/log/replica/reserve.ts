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

/** The flags for opening the file. O_NOFOLLOW prevents overwriting the target of a link. */
const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

/**
 * The number of bytes written at once. They are random, since a compressing file system would allocate no room for
 * zeros.
 */
const PIECE = 1024 * 1024;

/**
 * A file beside the database that reserves room on the disk. When the disk is full, the file is emptied so that the log
 * can be checkpointed and purged: both need some room before they can free any.
 */
export class Reserve {
  readonly #file: string;
  #descriptor: number | undefined;
  #piece: Buffer | undefined;
  #size = 0;

  /** @param file the path of the file, which is created when it is first needed */
  constructor(file: string) {
    this.#file = file;
  }

  /** The number of reserved bytes. */
  get size(): number {
    return this.#size;
  }

  /** Opens the file, and creates it if missing. Does nothing if it is open. @throws the file system's error */
  open(): void {
    this.#opened();
  }

  /**
   * Grows or shrinks the reserve toward a size.
   *
   * @param target the size in bytes
   * @param limit the maximum number of bytes to write
   * @returns whether the reserve has that size
   * @throws the file system's error; bytes written before it are kept
   */
  grow(target: number, limit = Infinity): boolean {
    const descriptor = this.#opened();
    if (this.#size > target) {
      ftruncateSync(descriptor, target);
      this.#size = target;
    }
    const end = Math.min(target, this.#size + limit);
    while (this.#size < end) this.#size += this.#write(descriptor, this.#size, end);
    return this.#size === target;
  }

  /**
   * Allocates bytes beyond the reserve and frees them again. Only this shows whether there is room: the free space that
   * the file system reports may ignore quotas, for example.
   *
   * @throws the file system's error if there is no room
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

  /** Frees all reserved bytes. Does nothing if there are none. @throws the file system's error */
  release(): void {
    if (this.#size === 0) return;
    ftruncateSync(this.#opened(), 0);
    this.#size = 0;
  }

  /** Closes the file. The bytes stay reserved. */
  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #opened(): number {
    // Somebody in need of room may have deleted the file: closing it frees the room.
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
 * Frees the reserve of a database before it is opened, since opening it needs room too.
 *
 * @returns whether there is more room now
 */
export function releaseReserve(database: string): boolean {
  const file = reserveFile(database);
  try {
    if (statSync(file).size === 0) return false;
    truncateSync(file);
    return true;
  } catch {
    return false;
  }
}

/** Returns the path of a database's reserve. */
export function reserveFile(database: string): string {
  return `${database}-reserve`;
}
