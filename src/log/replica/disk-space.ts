import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';

const MIB = 1024 * 1024;

/** The space left free beside a copy, so that the log can grow; on a small disk, an eighth of it. */
const SPARE_BYTES = 64 * MIB;

/** The division of a log's disk, in bytes. */
export interface SpacePlan {
  /** The size of the reserve, which gives a log on a full disk room to be checkpointed and purged. */
  readonly reserve: number;
  /** Publishes are refused if less than this is free besides the reserve. A publish of ordinary size takes less. */
  readonly min: number;
  /**
   * Publishes are accepted at the start, or again, if this much is free besides the reserve: `min`, plus twice the size
   * to which an emptied write-ahead log grows, so that the gate does not flap.
   */
  readonly enough: number;
}

/** The use of a log's disk, in bytes. */
export interface Space {
  /** The space free for this user. */
  readonly available: number;
  /** The size of the write-ahead log. */
  readonly wal: number;
  /** The current size of the reserve. */
  readonly reserve: number;
}

/**
 * Returns the plan for a disk.
 *
 * @param total the size of its file system in bytes; 0 (unknown) means no bounds
 */
export function planFor(total: number): SpacePlan {
  return {
    reserve: Math.min(16 * MIB, Math.floor(total / 8)),
    min: Math.min(MIB, Math.floor(total / 32)),
    enough: Math.min(9 * MIB, Math.floor(total / 3)),
  };
}

/**
 * Returns the bytes that publishes may still use. A checkpoint may lengthen the database by the size of the write-ahead
 * log, and a write-ahead log that cannot be checkpointed can never be emptied. So the excess of the write-ahead log
 * over the reserve is subtracted, as are the bytes missing from the reserve.
 *
 * @returns a negative number if the reserve and a checkpoint need more than is free
 */
export function roomIn({ available, wal, reserve }: Space, plan: SpacePlan): number {
  return available - Math.max(0, plan.reserve - reserve) - Math.max(0, wal - plan.reserve);
}

/**
 * Reads the state of a file's file system.
 *
 * @returns its size and its free space for this user, in bytes
 * @throws the file system's error
 */
export function askDisk(file: string): { total: number; available: number } {
  const { blocks, bavail, bsize } = statfsSync(dirname(file));
  return { total: blocks * bsize, available: bavail * bsize };
}

/** Returns how many bytes the disk of a file lacks for another file of `bytes`; 0 or less if there is room. */
export function roomFor(file: string, bytes: number): number {
  const disk = askDisk(file);
  return bytes + spareOf(disk) - disk.available;
}

/** Returns whether the disk of a database is so full that a copy in progress must be abandoned. */
export function isRoomShort(file: string): boolean {
  const disk = askDisk(file);
  return disk.available < spareOf(disk) / 2;
}

/** Returns how many bytes of a disk of this size stay free beside a copy. */
export function spareOf({ total }: { total: number }): number {
  return Math.min(SPARE_BYTES, total / 8);
}
