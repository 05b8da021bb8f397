/** The position of a replica, read beside the node that has it. */
import Sqlite from 'better-sqlite3';
import { until } from './until.ts';

/** A position. Replicas that have applied the same entries have equal ones. */
export interface Position {
  readonly logId: string;
  readonly generation: number | null;
  readonly sequence: number | null;
  readonly digest: string;
  readonly head: number;
}

/** Reads the position in the database of a node, which may be running. */
export function positionOf(database: string): Position {
  const opened = new Sqlite(database, { readonly: true });
  try {
    const sql = 'SELECT logId, generation, sequence, digest, head FROM position';
    return opened.prepare(sql).get() as Position;
  } finally {
    opened.close();
  }
}

/** Waits until running nodes have the same position: each applies an entry every two seconds at least. */
export async function untilEqual(databases: readonly string[]): Promise<void> {
  const positions = (): Set<string> => new Set(databases.map((file) => JSON.stringify(positionOf(file))));
  await until(() => positions().size === 1, 'equal positions');
}
