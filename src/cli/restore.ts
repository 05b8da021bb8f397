import { explain } from '../files/explain.ts';
import { realFile } from '../files/real-file.ts';
import { give, ownerOf, restoreDatabase } from '../log/replica/restore.ts';
import { readVapidKeys, storeVapidKeys, vapidFile, type VapidKeys } from '../push/vapid.ts';
import { DATABASE_FLAG, DATABASE_HELP, databaseOf } from './database-flag.ts';
import { readArguments } from './operands.ts';
import { contentText } from './content-text.ts';

/** Returns what `restore --help` prints. */
export function help(): string {
  return `Usage: tidings restore FILE [--database FILE]

Replaces the database with a backup. Stop the service first. FILE is copied and checked first, and is not changed. The current
database is kept beside the new one, with -before- and the time added to its name, and so is its key for notifications. If
FILE-vapid.json exists, it becomes the key. If the command is interrupted, one of the two databases is in place, complete:
run the command again.

Devices that have seen more than the backup contains are told so when they reconnect (gap: "restored").

${DATABASE_HELP}

Examples:
  systemctl stop tidings && tidings restore /backups/monday.sqlite && systemctl start tidings
  tidings restore /backups/monday.sqlite --database /var/lib/tidings/tidings.sqlite
`;
}

/** Restores a backup. @throws {StartError} if it cannot be restored; then the database is as it was */
export function run(args: readonly string[]): Promise<number> {
  const { flags, operands } = readArguments(args, {
    command: 'restore',
    flags: DATABASE_FLAG,
    operands: ['FILE'],
  });
  const [name = ''] = operands;
  const file = databaseOf(flags);
  const backup = explain(name, () => realFile(name));
  const keys = readVapidKeys(vapidFile(backup));
  const { aside, ...restored } = restoreDatabase(file, backup, {
    time: Date.now(),
    takeAlong: (before) => takeKeyAlong(file, keys, before),
  });
  const migrations = restored.known - restored.schema;
  const lines = [
    `${file} was restored from ${backup}: ${contentText(restored)}.`,
    ...(aside === undefined ? [] : [`The previous database is in ${aside}.`]),
    ...(keys === undefined
      ? [`${vapidFile(backup)} does not exist: the key for notifications was left as it is.`]
      : []),
    ...(migrations === 0 ? [] : ['The next start brings its schema up to date.']),
  ];
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  return Promise.resolve(0);
}

/** Puts the key of a backup beside the database, and the present key beside the file that will keep the present database. */
function takeKeyAlong(file: string, keys: VapidKeys | undefined, aside: string | undefined): void {
  const keyFile = vapidFile(file);
  const present = readPresentKeys(keyFile);
  if (aside !== undefined && present !== undefined) keep(vapidFile(aside), present, file);
  if (keys !== undefined && keys.privateKey !== present?.privateKey) keep(keyFile, keys, file);
}

/** Returns the present key; `undefined` if it cannot be read, which may be the reason for restoring a backup. */
function readPresentKeys(keyFile: string): VapidKeys | undefined {
  try {
    return readVapidKeys(keyFile);
  } catch {
    return undefined;
  }
}

function keep(keyFile: string, keys: VapidKeys, file: string): void {
  storeVapidKeys(keyFile, keys);
  explain(keyFile, () => give(keyFile, ownerOf(file)));
}
