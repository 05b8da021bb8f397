import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';

const MIB = 1024 * 1024;

/** How the disk of a log is shared, in bytes. */
export interface SpacePlan {
  /** The size of the reserve: room in which a full log can be checkpointed and purged. */
  readonly reserve: number;
  /** With less than this free beside the reserve, publishes are refused. A publish of ordinary size is smaller. */
  readonly least: number;
  /**
   * With this much free beside the reserve, they are taken (again). It is `least`, and what a write-ahead log grows to
   * after it was emptied, twice over: so that it does not flap.
   */
  readonly enough: number;
}

/** What there is on the disk of a log, in bytes. */
export interface Space {
  /** Free for this user. */
  readonly available: number;
  /** The write-ahead log. */
  readonly wal: number;
  /** What the reserve holds now. */
  readonly reserve: number;
}

/**
 * Plans for a disk.
 *
 * @param total the size of its file system in bytes; a file system that does not tell it (0) gets no bounds
 */
export function planFor(total: number): SpacePlan {
  return {
    reserve: Math.min(16 * MIB, Math.floor(total / 8)),
    least: Math.min(MIB, Math.floor(total / 32)),
    enough: Math.min(9 * MIB, Math.floor(total / 3)),
  };
}

/**
 * Counts what publishes may still take. A checkpoint may lengthen the database by as much as is in the write-ahead log,
 * and a write-ahead log that cannot be checkpointed can never be emptied. So what is in it past the reserve is taken
 * off, as is what the reserve lacks.
 *
 * @returns bytes; negative if the reserve and a checkpoint need more than there is
 */
export function roomIn({ available, wal, reserve }: Space, plan: SpacePlan): number {
  return available - Math.max(0, plan.reserve - reserve) - Math.max(0, wal - plan.reserve);
}

/**
 * Asks the file system that a file is on.
 *
 * @returns its size and what is free for this user, in bytes
 * @throws what the file system throws
 */
export function askDisk(file: string): { total: number; available: number } {
  const { blocks, bavail, bsize } = statfsSync(dirname(file));
  return { total: blocks * bsize, available: bavail * bsize };
}
