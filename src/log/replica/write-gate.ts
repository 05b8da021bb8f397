import { statSync } from 'node:fs';
import { constants } from 'node:os';
import { Folders, OpenFiles } from '../../files/moved-files.ts';
import { askDisk, planFor, roomIn, type SpacePlan } from './disk-space.ts';
import { Reserve, reserveFile } from './reserve.ts';

/** The disk is checked each time this many bytes of messages have been written, and once a second. */
const LOOK_EVERY = 1024 * 1024;

/** The errors after which nothing is written until a trial succeeds. They do not include locks and damaged pages. */
const CLOSING =
  /^(SQLITE_(FULL|READONLY|CANTOPEN|IOERR(?!_((SHORT_)?READ|CORRUPTFS)\b))|ENOSPC|EDQUOT|EFBIG|EIO|EROFS|LOG_)/;

/** A refused write. `message` begins with a code: `LOG_FULL`, say, or one of SQLite's. */
class WriteRefused extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'WriteRefused';
  }
}

/**
 * Describes an error for the operator.
 *
 * @returns its code and message: `SQLITE_FULL: database or disk is full`
 */
export function reasonOf(error: unknown): string {
  if (error instanceof WriteRefused) return error.message;
  const { code, errno, message } = error as { code?: unknown; errno?: unknown; message?: unknown };
  // Node has no name for this error.
  return `${errno === -constants.errno.EDQUOT ? 'EDQUOT' : String(code)}: ${String(message)}`;
}

/** Returns whether an error stops all writing until a trial succeeds. */
export function closesGate(reason: string): boolean {
  return CLOSING.test(reason);
}

/** The files of an open log. */
export interface GateFiles {
  /** The path given by `DATABASE`. */
  readonly name: string;
  /** The same path without links. */
  readonly file: string;
}

/**
 * The gate for writes to the log. It closes when a write fails, when the disk has no room for a publish of ordinary
 * size, or when the log's files are no longer in place. It opens again when a trial finds all of these in order.
 */
export class WriteGate {
  readonly reserve: Reserve;
  readonly #file: string;
  readonly #folders: Folders;
  /** The files that hold messages. They are checked after each commit if their folders have changed. */
  readonly #essential: OpenFiles;
  /** All files, including those that keep other processes from writing to the same database. */
  readonly #all: OpenFiles;
  readonly #plan: SpacePlan;
  #closed: string | undefined;
  /** Whether the reserve was complete at the last check. */
  #isWhole = false;
  #written = 0;

  /** @param files open, all made by SQLite. @throws the file system's error if they cannot be read */
  constructor({ name, file }: GateFiles) {
    this.#file = file;
    this.reserve = new Reserve(reserveFile(file));
    this.#folders = new Folders([name, file]);
    this.#essential = new OpenFiles([name, `${file}-wal`]);
    this.#all = new OpenFiles([name, `${file}-wal`, `${file}-shm`, `${file}-lock`]);
    this.#plan = planFor(askDisk(file).total);
    try {
      this.reserve.open();
    } catch (error) {
      this.#close(reasonOf(error));
    }
    this.#lookFor(this.#plan.enough);
  }

  /** The reason why nothing is written; `undefined` while the gate is open. */
  get closed(): string | undefined {
    return this.#closed;
  }

  /** Whether the log's files are in place. */
  get isInPlace(): boolean {
    return this.#all.fault() === undefined;
  }

  /**
   * Runs a transaction that will be acknowledged.
   *
   * @throws {WriteRefused} if the gate is closed or the files are not in place; the error of `write`, which may close the
   *   gate
   */
  run<T>(write: () => T): T {
    return this.runUpkeep(() => {
      const result = write();
      // If the files were removed during the flush, the write is lost when this process ends.
      this.#checkPlace();
      return result;
    });
  }

  /**
   * Runs a transaction that need not be acknowledged. For it, checking the files once a second is enough.
   *
   * @throws as `run` does
   */
  runUpkeep<T>(write: () => T): T {
    if (this.#closed !== undefined) throw new WriteRefused(this.#closed);
    try {
      return write();
    } catch (error) {
      this.failed(error);
      throw error;
    }
  }

  /** @throws {WriteRefused} if a file is gone */
  #checkPlace(): void {
    if (!this.#folders.haveChanged()) return;
    const fault = this.#essential.fault();
    if (fault !== undefined) throw new WriteRefused(`LOG_MOVED: ${fault}`);
  }

  /** Notes how many bytes of messages were written, and checks the disk from time to time. */
  wrote(bytes: number): void {
    this.#written += bytes;
    if (this.#written > LOOK_EVERY) this.look();
  }

  /** Closes the gate if an error means that nothing can be written. */
  failed(error: unknown): void {
    const reason = reasonOf(error);
    if (closesGate(reason)) this.#close(reason);
  }

  /** Checks the files and the disk, and closes the gate if something is wrong. Costs a few system calls. */
  look(): void {
    this.#isWhole = false;
    this.#lookFor(this.#plan.min);
  }

  #lookFor(room: number): void {
    this.#written = 0;
    if (this.#closed !== undefined) return;
    const fault = this.#all.fault();
    if (fault !== undefined) this.#closed = `LOG_MOVED: ${fault}`;
    else if (this.#room() < room) this.#closed = 'LOG_FULL: the disk has no room left beside the reserve';
  }

  /** Adds a piece to the reserve if it is incomplete. @returns whether more is missing */
  growReserve(limit: number): boolean {
    if (this.#isWhole || this.#closed !== undefined) return false;
    this.#isWhole = this.#try(() => this.reserve.grow(this.#plan.reserve, limit)) === true;
    return !this.#isWhole && this.closed === undefined;
  }

  /** Tries to allocate room for a publish of ordinary size. @throws {WriteRefused} if it fails, and closes the gate */
  tryRoom(): void {
    this.#try(() => this.reserve.tryRoom(this.#plan.min));
    if (this.#closed !== undefined) throw new WriteRefused(this.#closed);
  }

  /**
   * Opens the gate if the files are in place, and there is room for the reserve and for more than the gate needs to
   * stay open.
   *
   * @param write a transaction that changes something
   * @throws the error of `write`; then the gate stays closed
   */
  reopen(write: () => void): void {
    if (this.#all.fault() !== undefined) return;
    const { reserve, enough } = this.#plan;
    try {
      if (this.#room() < enough) {
        // Keep other programs from taking the little room there is: making more room may need it.
        this.reserve.grow(reserve);
        return;
      }
      this.reserve.grow(reserve);
      this.reserve.tryRoom(enough);
    } catch {
      // There is still not enough room.
      return;
    }
    write();
    this.#closed = undefined;
  }

  /** Fills the reserve as far as there is room, since the next start may need it, and closes it. */
  close(): void {
    try {
      this.reserve.grow(this.#plan.reserve);
    } catch {
      // There is no room.
    }
    this.reserve.close();
  }

  #close(reason: string): void {
    this.#closed ??= this.#isOutOfRoom(reason) ? `LOG_FULL: ${reason}` : reason;
  }

  #try<T>(step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      this.failed(error);
      return undefined;
    }
  }

  /** Returns the bytes that publishes may use; `Infinity` if the file system does not report its free space. */
  #room(): number {
    try {
      const { available } = askDisk(this.#file);
      const wal = statSync(`${this.#file}-wal`).size;
      return roomIn({ available, wal, reserve: this.reserve.size }, this.#plan);
    } catch {
      return Infinity;
    }
  }

  /**
   * Returns whether a failure means lack of room. SQLite reports an exceeded quota as a disk error. A trial tells them
   * apart.
   */
  #isOutOfRoom(reason: string): boolean {
    if (/^(SQLITE_FULL|ENOSPC|EDQUOT|EFBIG)/.test(reason)) return true;
    if (!reason.startsWith('SQLITE_IOERR')) return false;
    try {
      this.reserve.tryRoom(this.#plan.min);
      return false;
    } catch (error) {
      return /^(ENOSPC|EDQUOT|EFBIG)/.test(reasonOf(error));
    }
  }
}
