import { existsSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { explain } from '../files/explain.ts';
import { realFile } from '../files/real-file.ts';
import type { Retention } from '../log/retention.ts';
import { beginCluster } from '../log/replica/begin-cluster.ts';
import { inspect, makeReady, openForReading } from '../log/replica/database.ts';
import { lockDatabase } from '../log/replica/lock.ts';
import { lookAtReplica, type ReplicaState } from '../log/replica/replica-file.ts';
import { Store } from '../log/replica/store.ts';
import { readVapidKeys, type VapidKeys, vapidFile } from '../push/vapid.ts';
import { FIRST_GENERATION, type LogOfOne } from './init.ts';

/** The database of a stopped node. */
export interface StoppedDatabase {
  /** The path of the database, without links. */
  readonly file: string;
  /** The state of the replica; `undefined` if there is no database. */
  readonly state: ReplicaState | undefined;
}

/**
 * Runs a function on the database of a stopped node, which stays locked meanwhile.
 *
 * @throws {StartError} if a service has it open, or it cannot be opened
 */
export async function withStoppedDatabase<T>(
  { database: name, upgradeCopy }: Pick<Config, 'database' | 'upgradeCopy'>,
  logger: Logger,
  run: (database: StoppedDatabase) => Promise<T>,
): Promise<T> {
  inspect(name);
  const file = explain(name, () => realFile(name));
  if (!existsSync(file)) return run({ file, state: undefined });
  const lock = lockDatabase(file);
  try {
    const state = lookAtReplica(file, { keepsCopy: upgradeCopy === 'kept', logger });
    return await run({ file, state });
  } finally {
    lock.release();
  }
}

/** The parts of a single machine's log that a cluster takes over. */
export interface Inheritance {
  /** The log to take over; `undefined` if the database is empty. */
  readonly before: LogOfOne | undefined;
  readonly retention: Retention;
  /** The keys for notifications; `undefined` if there are none yet. */
  readonly vapidKeys: VapidKeys | undefined;
}

/**
 * Returns what a new cluster takes from a database: its messages, if there are any, with the retention, and its key pair
 * for notifications.
 *
 * @throws {StartError} if it cannot be read
 */
export function inheritanceOf({ file, state }: StoppedDatabase, config: Config): Inheritance {
  const given = { days: config.retentionDays, messages: config.retentionMessages };
  const vapidKeys = config.vapidKeys ?? readVapidKeys(vapidFile(file));
  if (state?.hasContent !== true) return { before: undefined, retention: given, vapidKeys };
  const begin = (): void => makeReady(file, (database) => void beginCluster(database, FIRST_GENERATION));
  return {
    before: { file, logId: state.logId, begin },
    retention: retentionIn(file) ?? given,
    vapidKeys,
  };
}

function retentionIn(file: string): Retention | undefined {
  const database = explain(file, () => openForReading(file));
  try {
    return new Store(database).retention();
  } finally {
    database.close();
  }
}
