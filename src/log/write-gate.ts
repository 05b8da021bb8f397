import { statSync } from 'node:fs';
import { constants } from 'node:os';
import { askDisk, planFor, roomIn, type SpacePlan } from './disk-space.ts';
import { Folders, OpenFiles } from './place.ts';
import { Reserve, reserveFile } from './reserve.ts';

/** Bytes of messages between two looks at the disk, besides the one each second. */
const LOOK_EVERY = 1024 * 1024;

/** After these nothing is written until a trial has shown that it can be. What locks pass and damaged pages are not. */
const CLOSING =
  /^(SQLITE_(FULL|READONLY|CANTOPEN|IOERR(?!_((SHORT_)?READ|CORRUPTFS)\b))|ENOSPC|EDQUOT|EFBIG|EIO|EROFS|LOG_)/;

/** Why nothing was written. `message` begins with a code, as those of SQLite do. */
class WriteRefused extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'WriteRefused';
  }
}

/**
 * Says what went wrong, for the operator.
 *
 * @returns a code, and what it says: `SQLITE_FULL: database or disk is full`
 */
export function reasonOf(error: unknown): string {
  if (error instanceof WriteRefused) return error.message;
  const { code, errno, message } = error as { code?: unknown; errno?: unknown; message?: unknown };
  // Node has no name for it.
  return `${errno === -constants.errno.EDQUOT ? 'EDQUOT' : String(code)}: ${String(message)}`;
}

/** Tells whether writing ends with an error, until a trial has shown that it works again. */
export function closesGate(reason: string): boolean {
  return CLOSING.test(reason);
}

/** The files of an open log. */
export interface GateFiles {
  /** As `DATABASE` names it. */
  readonly name: string;
  /** The same without links. */
  readonly file: string;
}

/**
 * Decides whether the log is written. It closes when a write fails, when the disk has no room for a publish of ordinary
 * size, and when the files of the log are no longer in their place. It opens again when all of this was tried out.
 */
export class WriteGate {
  readonly reserve: Reserve;
  readonly #file: string;
  readonly #folders: Folders;
  /** What a message is lost with: looked at for each commit if something has changed in their folders. */
  readonly #essential: OpenFiles;
  /** These too: without them another process could write to the same database. */
  readonly #all: OpenFiles;
  readonly #plan: SpacePlan;
  #closed: string | undefined;
  /** Whether the reserve was whole when it was looked at last. */
  #isWhole = false;
  #written = 0;

  /** @param files open: SQLite has made all of them. @throws what the file system throws */
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

  /** Why nothing is written; `undefined` while it is. */
  get closed(): string | undefined {
    return this.#closed;
  }

  /** Whether the files of the log are in their place. */
  get isInPlace(): boolean {
    return this.#all.fault() === undefined;
  }

  /**
   * Runs a transaction of which somebody is told that it is on disk.
   *
   * @throws {WriteRefused} if the gate is closed, or the files are not in their place; what `write` throws, which may close
   *   the gate
   */
  run<T>(write: () => T): T {
    return this.runUpkeep(() => {
      const result = write();
      // Removed during the flush: what was written is gone with this process.
      this.checkPlace();
      return result;
    });
  }

  /** Runs a transaction of which nobody is told: a look each second is enough for it. @throws as `run` */
  runUpkeep<T>(write: () => T): T {
    if (this.#closed !== undefined) throw new WriteRefused(this.#closed);
    try {
      return write();
    } catch (error) {
      this.failed(error);
      throw error;
    }
  }

  /** Call it in a transaction, before it is committed: so that nothing is. @throws {WriteRefused} if its file is gone */
  checkPlace(): void {
    if (!this.#folders.haveChanged()) return;
    const fault = this.#essential.fault();
    if (fault !== undefined) throw new WriteRefused(`LOG_MOVED: ${fault}`);
  }

  /** So many bytes were written: the disk is looked at now and then. */
  wrote(bytes: number): void {
    this.#written += bytes;
    if (this.#written > LOOK_EVERY) this.look();
  }

  /** Closes it if an error says that nothing can be written. */
  failed(error: unknown): void {
    const reason = reasonOf(error);
    if (closesGate(reason)) this.#close(reason);
  }

  /** Looks at the files and at the disk; closes it if something is wrong there. Costs a few system calls. */
  look(): void {
    this.#isWhole = false;
    this.#lookFor(this.#plan.least);
  }

  #lookFor(room: number): void {
    this.#written = 0;
    if (this.#closed !== undefined) return;
    const fault = this.#all.fault();
    if (fault !== undefined) this.#closed = `LOG_MOVED: ${fault}`;
    else if (this.#room() < room) this.#closed = 'LOG_FULL: the disk has no room left beside the reserve';
  }

  /** Makes a piece of what the reserve lacks. @returns whether there is more to make */
  growReserve(most: number): boolean {
    if (this.#isWhole || this.#closed !== undefined) return false;
    this.#isWhole = this.#try(() => this.reserve.grow(this.#plan.reserve, most)) === true;
    return !this.#isWhole && this.closed === undefined;
  }

  /** Tries whether there is room for a publish of ordinary size. @throws {WriteRefused} and closes it, if there is none */
  tryRoom(): void {
    this.#try(() => this.reserve.tryRoom(this.#plan.least));
    if (this.#closed !== undefined) throw new WriteRefused(this.#closed);
  }

  /**
   * Opens it if the files are in their place, and there is room again for the reserve, and for more than what it was
   * closed for.
   *
   * @param write a transaction that changes something
   * @throws what `write` throws: then it stays closed
   */
  reopen(write: () => void): void {
    if (this.#all.fault() !== undefined) return;
    const { reserve, enough } = this.#plan;
    try {
      if (this.#room() < enough) {
        // What there is is kept from other programs: to make room may take some.
        this.reserve.grow(reserve);
        return;
      }
      this.reserve.grow(reserve);
      this.reserve.tryRoom(enough);
    } catch {
      // There is still not enough.
      return;
    }
    write();
    this.#closed = undefined;
  }

  /** Ends it. What the reserve lacks is made up for as far as there is room: the next start may need it. */
  close(): void {
    try {
      this.reserve.grow(this.#plan.reserve);
    } catch {
      // There is none.
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

  /** What publishes may take, as far as the file system tells. */
  #room(): number {
    try {
      const { available } = askDisk(this.#file);
      const wal = statSync(`${this.#file}-wal`).size;
      return roomIn({ available, wal, reserve: this.reserve.size }, this.#plan);
    } catch {
      return Infinity;
    }
  }

  /** SQLite calls a quota an error of the disk; a file shows what it is. */
  #isOutOfRoom(reason: string): boolean {
    if (/^(SQLITE_FULL|ENOSPC|EDQUOT|EFBIG)/.test(reason)) return true;
    if (!reason.startsWith('SQLITE_IOERR')) return false;
    try {
      this.reserve.tryRoom(this.#plan.least);
      return false;
    } catch (error) {
      return /^(ENOSPC|EDQUOT|EFBIG)/.test(reasonOf(error));
    }
  }
}
