import { readSettings } from '../config/config.ts';
import { explain } from '../files/explain.ts';
import { realFile } from '../files/real-file.ts';

/** The flag of commands on a database. */
export const DATABASE_FLAG = { database: { type: 'string' } } as const;

/** Its lines in `--help`. */
export const DATABASE_HELP = `  --database   the file of the database (default: the variable DATABASE, or else data/tidings.sqlite)`;

/** Returns the path of a command's database, with links resolved. @throws {StartError} if it cannot be a database */
export function databaseOf(flags: { readonly database?: string | undefined }): string {
  const { database } = readSettings(process.env, { database: flags.database }, ['database']);
  return explain(database, () => realFile(database));
}
