/** The database of a replica while no service has it: how it stands, and how a copy of another node takes its place. */
import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Database } from 'better-sqlite3';
import { sync } from '../../files/sync.ts';
import { StartError } from '../../start-error.ts';
import type { Position } from '../entry.ts';
import { makeReady, openForReading } from './database.ts';
import { knownSchema, schemaOf } from './migrations.ts';
import type { UpgradeOptions } from './upgrade-copy.ts';

/** How a replica stands. */
export interface ReplicaState extends Position {
  /** The highest id given. */
  readonly head: number;
  /** The digest of all outcomes up to the sequence; empty before the first. */
  readonly digest: string;
  /** Whether there is anything that another database in its place would lose. */
  readonly hasContent: boolean;
}

/** Reads how a replica stands. */
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
 * Reads how the replica in a file stands. Its schema is brought up to date.
 *
 * @param file without links; this process must hold its lock
 * @param upgrade how a database of an older version is kept before it is migrated; missing: it is not kept
 * @returns `undefined` if there is no database
 * @throws {StartError} if it cannot be opened
 */
export function lookAtReplica(file: string, upgrade?: UpgradeOptions): ReplicaState | undefined {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) === 0) return undefined;
  let state: ReplicaState | undefined;
  makeReady(file, (database) => (state = stateOf(database)), upgrade);
  return state;
}

/** Reads how the replica in a file stands, beside a service that may have it. @throws {StartError} if it is no replica */
export function lookBesideService(file: string): ReplicaState {
  if (!existsSync(file)) throw new StartError(`${file} does not exist: set DATABASE to the one of a node.`);
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

/** Returns where a database is put together before it takes the place of another. */
export function joiningFile(file: string): string {
  return `${file}-joining`;
}

/** Removes what an interrupted joining has left. */
export function removeJoining(file: string): void {
  for (const part of ['', '-journal', '-wal', '-shm']) rmSync(joiningFile(file) + part, { force: true });
}

/**
 * Puts the finished database in `joiningFile` into the place of another. At each moment there is a whole database under the
 * name, or none: then the node joins again at its next start.
 *
 * @param file without links; this process must hold its lock
 * @param aside the name to which the database is moved that is there now, with its files
 * @returns whether there was one
 */
export function replaceDatabase(file: string, aside: string): boolean {
  // The copy is on disk before its name says so.
  sync(joiningFile(file));
  const found = ['', '-wal'].filter((part) => existsSync(file + part));
  for (const part of found) renameSync(file + part, aside + part);
  rmSync(`${file}-shm`, { force: true });
  renameSync(joiningFile(file), file);
  sync(dirname(file));
  return found.includes('');
}

/** Returns a name beside a database under which it may be put away, at a time in milliseconds since the Unix epoch. */
export function asideFile(file: string, time: number): string {
  return `${file}-before-${new Date(time).toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
}

/** Removes a database that was put aside. */
export function removeAside(aside: string): void {
  for (const part of ['', '-wal']) rmSync(aside + part, { force: true });
}
