/**
 * Works on the database of a replica: reads its state, and replaces it with another node's copy while no service has it
 * open.
 */
import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Database } from 'better-sqlite3';
import { sync } from '../../files/sync.ts';
import { StartError } from '../../start-error.ts';
import type { Position } from '../entry.ts';
import { makeReady, openForReading } from './database.ts';
import { knownSchema, schemaOf } from './migrations.ts';
import type { UpgradeOptions } from './upgrade-copy.ts';

/** The state of a replica. */
export interface ReplicaState extends Position {
  /** The highest assigned id. */
  readonly head: number;
  /** The digest of all outcomes up to the sequence; empty before the first. */
  readonly digest: string;
  /** Whether it has content that would be lost if another database replaced it. */
  readonly hasContent: boolean;
}

/** Reads the state of a replica. */
export function stateOf(database: Database): ReplicaState {
  const state = database
    .prepare<[], Omit<ReplicaState, 'hasContent'> & { hasContent: number }>(
      'SELECT logId, sequence, generation, logTime, head, digest, ' +
        'head > 0 OR EXISTS (SELECT 1 FROM pushSubscriptions) AS hasContent FROM position',
    )
    .get() as Omit<ReplicaState, 'hasContent'> & { hasContent: number };
  return { ...state, hasContent: state.hasContent === 1 };
}

/**
 * Reads the state of the replica in a file. First migrates it to the current schema.
 *
 * @param file without links; this process must hold its lock
 * @param upgrade how a copy of a database of an older version is kept before it is migrated; if missing, none is kept
 * @returns `undefined` if there is no database
 * @throws {StartError} if it cannot be opened
 */
export function lookAtReplica(file: string, upgrade?: UpgradeOptions): ReplicaState | undefined {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) === 0) return undefined;
  let state: ReplicaState | undefined;
  makeReady(file, (database) => (state = stateOf(database)), upgrade);
  return state;
}

/**
 * Reads the state of the replica in a file, even while a service has it open.
 *
 * @throws {StartError} if it does not exist or has another schema
 */
export function lookBesideService(file: string): ReplicaState {
  if (!existsSync(file)) throw new StartError(`${file} does not exist: set DATABASE to that of a node.`);
  const database = openForReading(file);
  try {
    const version = schemaOf(database);
    if (version !== knownSchema()) {
      throw new StartError(`${file} has schema version ${version}: start the service with it once.`);
    }
    return stateOf(database);
  } finally {
    database.close();
  }
}

/** Returns the path at which a database is assembled before it replaces another. */
export function joiningFile(file: string): string {
  return `${file}-joining`;
}

/** Removes the files of an interrupted join. */
export function removeJoining(file: string): void {
  for (const part of ['', '-journal', '-wal', '-shm']) rmSync(joiningFile(file) + part, { force: true });
}

/**
 * Replaces a database by the finished one in `joiningFile`. At every moment there is either a whole database under the
 * name, or none, in which case the node joins again at its next start.
 *
 * @param file without links; this process must hold its lock
 * @param aside the name to which the current database is moved, with its files
 * @returns whether there was a current database
 */
export function replaceDatabase(file: string, aside: string): boolean {
  // The copy must be on disk before it gets the name.
  sync(joiningFile(file));
  const found = ['', '-wal'].filter((part) => existsSync(file + part));
  for (const part of found) renameSync(file + part, aside + part);
  rmSync(`${file}-shm`, { force: true });
  renameSync(joiningFile(file), file);
  sync(dirname(file));
  return found.includes('');
}

/** Returns a name beside a database that it can be moved to, made from a time in milliseconds since the Unix epoch. */
export function asideFile(file: string, time: number): string {
  return `${file}-before-${new Date(time).toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
}

/** Removes a database that was moved aside. */
export function removeAside(aside: string): void {
  for (const part of ['', '-wal']) rmSync(aside + part, { force: true });
}
