import { readSettings } from '../config/config.ts';
import { explain } from '../files/explain.ts';
import { realFile } from '../files/real-file.ts';

/** The flag of commands on a database. */
export const DATABASE_FLAG = { database: { type: 'string' } } as const;

/** Its lines in `--help`. */
export const DATABASE_HELP = `  --database   the database (default: DATABASE, as for the service, or else data/tidings.sqlite)`;

/** Returns the database that a command is about, without links. @throws {StartError} if it cannot be one */
export function databaseOf(flags: { readonly database?: string | undefined }): string {
  const { database } = readSettings(process.env, { database: flags.database }, ['database']);
  return explain(database, () => realFile(database));
}
