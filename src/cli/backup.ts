import { existsSync } from 'node:fs';
import { explain } from '../files/explain.ts';
import { realFile } from '../files/real-file.ts';
import { backUp } from '../log/replica/backup.ts';
import { readVapidKeys, storeVapidKeys, vapidFile } from '../push/vapid.ts';
import { StartError } from '../start-error.ts';
import { DATABASE_FLAG, DATABASE_HELP, databaseOf } from './database-flag.ts';
import { readArguments } from './operands.ts';
import { sizeText } from '../size-text.ts';
import { contentText } from './content-text.ts';

/** Returns what `backup --help` prints. */
export function help(): string {
  return `Usage: tidings backup FILE [--database FILE]

Copies the database to a new file, as it is at one moment, and checks the copy. The service can keep running, reading and
writing. The key for notifications is copied to FILE-vapid.json. Only this user can read the two files (mode 0600). FILE
appears only when it is complete and on the disk.

${DATABASE_HELP}

Examples:
  tidings backup /backups/monday.sqlite
  tidings backup "/backups/$(date +%F).sqlite" --database /var/lib/tidings/tidings.sqlite
`;
}

/** Makes a backup. @throws {StartError} if it cannot be made; then there is no new file */
export async function run(args: readonly string[]): Promise<number> {
  const { flags, operands } = readArguments(args, {
    command: 'backup',
    flags: DATABASE_FLAG,
    operands: ['FILE'],
  });
  const [name = ''] = operands;
  const file = databaseOf(flags);
  const target = explain(name, () => realFile(name));
  const keys = readVapidKeys(vapidFile(file));
  const keyFile = vapidFile(target);
  const made = await backUp(file, target, () => {
    if (keys === undefined) return;
    // A file with the same key was left by an interrupted backup.
    if (existsSync(keyFile) && readVapidKeys(keyFile)?.privateKey !== keys.privateKey) {
      throw new StartError(`${keyFile} exists already, with a different key: move it away.`);
    }
    storeVapidKeys(keyFile, keys);
  });
  const key =
    keys === undefined ? 'There is no file with a key for notifications.' : `Its key is in ${keyFile}.`;
  process.stdout.write(
    `${target} was made and checked: ${sizeText(made.bytes)}, ${contentText(made)}. ${key}\n`,
  );
  return 0;
}
