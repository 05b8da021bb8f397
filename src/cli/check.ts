import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { explain } from '../files/explain.ts';
import { isReadByAll } from '../files/private-file.ts';
import { runDatabaseJob } from '../log/replica/database-job.ts';
import { checkIsDatabase, type DatabaseLook } from '../log/replica/database-look.ts';
import { askDisk, planFor, roomIn } from '../log/replica/disk-space.ts';
import { isLocked, lockFileOf } from '../log/replica/lock.ts';
import { checkPlace } from '../log/replica/place.ts';
import { reserveFile } from '../log/replica/reserve.ts';
import { vapidFile } from '../push/vapid.ts';
import { StartError } from '../start-error.ts';
import { DATABASE_FLAG, DATABASE_HELP, databaseOf } from './database-flag.ts';
import { readArguments } from './operands.ts';
import { sizeText } from '../size-text.ts';

/** One line of the check. */
interface Finding {
  readonly what: string;
  readonly isWrong: boolean;
  readonly text: string;
}

/** Returns what `check --help` prints. */
export function help(): string {
  return `Usage: tidings check [--database FILE]

Checks the database and prints one line for each check: the file, the service, the schema, the integrity (this reads the
whole database), the permissions of the files, and the free space on the disk. Exits with code 1 if something is wrong. It
changes nothing, and the service may be running. If the service is not running, two empty files appear beside the database,
-wal and -shm: SQLite makes them whenever a program reads a database.

${DATABASE_HELP}

Examples:
  tidings check
  tidings check --database /var/lib/tidings/tidings.sqlite || echo "something is wrong"
`;
}

/** Checks a database. @returns 1 if something is wrong */
export async function run(args: readonly string[]): Promise<number> {
  const { flags } = readArguments(args, { command: 'check', flags: DATABASE_FLAG });
  const file = databaseOf(flags);
  let isWrong = false;
  for await (const finding of findingsIn(file)) {
    isWrong ||= finding.isWrong;
    process.stdout.write(
      `${finding.what.padEnd(11)} ${finding.isWrong ? 'WRONG' : 'ok   '}  ${finding.text}\n`,
    );
  }
  return isWrong ? 1 : 0;
}

async function* findingsIn(file: string): AsyncGenerator<Finding> {
  const place = found('file', () => fileText(file));
  yield place;
  if (place.isWrong) return;
  yield found('service', () => (isLocked(file) ? 'running' : 'not running'));
  let look: DatabaseLook | StartError;
  try {
    look = await runDatabaseJob({ file });
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    look = error;
  }
  if (look instanceof StartError) {
    yield { what: 'integrity', isWrong: true, text: look.message };
  } else {
    yield { what: 'schema', isWrong: false, text: schemaText(look) };
    yield { what: 'integrity', isWrong: look.integrity !== 'ok', text: integrityText(look) };
  }
  yield permissionsOf(file);
  yield diskOf(file);
}

function found(what: string, text: () => string): Finding {
  try {
    return { what, isWrong: false, text: text() };
  } catch (error) {
    return { what, isWrong: true, text: (error as Error).message };
  }
}

function fileText(file: string): string {
  explain(file, () => {
    checkIsDatabase(file);
    checkPlace(file);
  });
  return `${file}, ${sizeText(statSync(file).size)}, and ${sizeText(sizeOf(`${file}-wal`))} in its write-ahead log`;
}

function schemaText({ schema, known }: DatabaseLook): string {
  if (schema === known) return `version ${schema}, which is current`;
  return `version ${schema}; the next start applies ${known - schema} migrations, up to ${known}`;
}

function integrityText({ integrity, newest }: DatabaseLook): string {
  if (integrity !== 'ok') return `${integrity}: restore a backup`;
  return newest === 0 ? 'sound, with no messages' : `sound, with messages up to ${newest}`;
}

function permissionsOf(file: string): Finding {
  const files = ['', '-wal', '-shm'].map((part) => file + part);
  const all = [...files, lockFileOf(file), reserveFile(file), vapidFile(file)].filter((each) =>
    existsSync(each),
  );
  const { uid, mode } = statSync(file);
  const faults = all.flatMap((each) => [
    ...(isReadByAll(each) ? [`all users can read ${each}: chmod o-r`] : []),
    ...(statSync(each).uid === uid ? [] : [`${each} has another owner: chown --reference=${file}`]),
    ...(mayUse(each) ? [] : [`this user cannot read and write ${each}`]),
  ]);
  const text = `${(mode & 0o777).toString(8).padStart(4, '0')}, owned by user ${uid}`;
  return {
    what: 'permissions',
    isWrong: faults.length > 0,
    text: faults.length === 0 ? text : faults.join('; '),
  };
}

function mayUse(file: string): boolean {
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function diskOf(file: string): Finding {
  const { total, available } = askDisk(file);
  const plan = planFor(total);
  const room = roomIn({ available, wal: sizeOf(`${file}-wal`), reserve: sizeOf(reserveFile(file)) }, plan);
  const isWrong = room < plan.min;
  const text = `${sizeText(available)} of ${sizeText(total)} free${isWrong ? ': publishes are refused' : ''}`;
  return { what: 'disk', isWrong, text };
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
