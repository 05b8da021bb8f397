/** Databases as earlier versions left them, with what those versions answered of them: __tests__/fixtures/databases. */
import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Sqlite, { type Database } from 'better-sqlite3';
import { expect } from '@jest/globals';
import { get, request, type WireMessage } from './api.ts';
import { copyDatabase } from './file.ts';
import { newFolder } from './server.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/databases');

/** The place of `PRAGMA user_version` in the header of a database (https://sqlite.org/fileformat.html). */
const USER_VERSION_AT = 60;

/** All of them, each with the version of its schema, that of the newest release too. */
export const RELEASES: readonly [version: string, schema: number][] = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.sqlite'))
  .map((name) => [basename(name, '.sqlite'), readFileSync(join(FOLDER, name)).readUInt32BE(USER_VERSION_AT)]);

/** For services on such a database: nothing is sent to push services. */
export const QUIET = { PUSH_DELAY_SECONDS: '3600' };

interface Conversation {
  readonly lastMessage: WireMessage;
}

/** The answer of a version. */
interface Answers {
  readonly messages: Readonly<Record<string, { messages: readonly WireMessage[] }>>;
  readonly conversations: Readonly<Record<string, { conversations: readonly Conversation[] }>>;
  readonly afterCursor: { cursor: string; page: unknown };
  readonly subscriptions: unknown;
}

/** Returns the original, which must not be changed. */
export function originalOf(version: string): string {
  return join(FOLDER, `${version}.sqlite`);
}

/** Puts a database of a version into a new folder, and returns its path. */
export function databaseOf(version: string): string {
  const file = join(newFolder(), 'tidings.sqlite');
  copyFileSync(originalOf(version), file);
  return file;
}

/** Checks that a service answers of such a database what the version itself answered. */
export async function expectAnswersOf(version: string, url: string): Promise<void> {
  const answers = JSON.parse(readFileSync(join(FOLDER, `${version}.json`), 'utf8')) as Answers;
  for (const [inbox, page] of Object.entries(answers.messages)) {
    const answer = await get(url, `/messages?after=0&limit=1000&recipient=${inbox}`);
    expect(answer.body).toEqual({ ...page, messages: page.messages.filter(isThere) });
  }
  for (const [inbox, list] of Object.entries(answers.conversations)) {
    const answer = await get(url, `/conversations?recipient=${inbox}`);
    const conversations = list.conversations.filter(({ lastMessage }) => isThere(lastMessage));
    expect(answer.body).toEqual({ ...list, conversations });
  }
  const { cursor, page } = answers.afterCursor;
  expect((await get(url, `/messages?recipient=bob&limit=1000&after=${cursor}`)).body).toEqual(page);
  expect((await get(url, '/push-subscriptions?recipient=phone')).body).toEqual(answers.subscriptions);
  // A repeat of a key is known.
  const draft = { sender: 'bob', recipient: 'ann', content: 'back', idempotencyKey: 'key-1' };
  const repeated = await request(`${url}/messages`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(draft),
  });
  expect([repeated.status, repeated.body]).toEqual([200, expect.objectContaining(draft)]);
}

/** One of them expires some day. */
function isThere({ expiresAt }: WireMessage): boolean {
  return expiresAt === undefined || Date.parse(expiresAt) > Date.now();
}

/** Returns the copies that are kept of a database. */
export function copiesOf(file: string): string[] {
  return readdirSync(dirname(file))
    .filter((name) => name.startsWith(`${basename(file)}-schema-`))
    .map((name) => join(dirname(file), name));
}

/** All that is in a database. */
export interface Content {
  readonly version: number;
  readonly application: number;
  readonly schema: unknown;
  readonly rows: readonly [table: string, rows: string[]][];
}

/** Returns all that is in a database, which must be whole. A copy is looked at: SQLite mends what a crash has left. */
export function contentOf(file: string): Content {
  const look = join(newFolder(), 'look.sqlite');
  copyDatabase(file, look);
  const database = new Sqlite(look);
  try {
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok');
    const names = database
      .prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
      .pluck()
      .all();
    return {
      version: database.pragma('user_version', { simple: true }) as number,
      application: database.pragma('application_id', { simple: true }) as number,
      schema: database.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY name').raw().all(),
      rows: names.map((name) => [name, rowsOf(database, name)]),
    };
  } finally {
    database.close();
  }
}

function rowsOf(database: Database, table: string): string[] {
  const rows = database.prepare(`SELECT * FROM "${table}"`).raw().all();
  return rows.map((row) => JSON.stringify(row)).sort();
}
