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

/** The database of a node that is stopped. */
export interface StoppedDatabase {
  /** Without links. */
  readonly file: string;
  /** `undefined` if there is no database. */
  readonly state: ReplicaState | undefined;
}

/**
 * Runs a function on the database of a node that is stopped, and keeps it locked meanwhile.
 *
 * @throws {StartError} if a service has it, or it cannot be opened
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

/** The parts of one machine's log that a cluster begins with. */
export interface Inheritance {
  /** `undefined` if there is nothing in the database. */
  readonly before: LogOfOne | undefined;
  readonly retention: Retention;
  /** `undefined` if there are none yet. */
  readonly vapidKeys: VapidKeys | undefined;
}

/**
 * Returns what a database brings along into a cluster: itself if there is something in it, with its retention; and the key
 * pair beside it.
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
