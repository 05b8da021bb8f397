import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import {
  asEphemeral,
  type ColumnValue,
  type Draft,
  ephemeralJson,
  type Message,
  MESSAGE_COLUMNS,
  messageJson,
  packDraft,
  PACKED_FIELDS,
  pushRow,
  unpackDraft,
  withId,
} from '../../src/message.ts';
import { newDatabase } from '../support/log-file.ts';
import { cleanUp } from '../support/server.ts';

afterAll(cleanUp);

/** Every field is set, each to another value. */
const full: Draft = {
  sender: 'ann "quoted"',
  recipient: 'bob\u2028',
  type: 'order.paid',
  content: '{"a":[1,null]}',
  idempotencyKey: 'key \\',
  ttl: 60,
  background: 1,
};
/** No field is set that may be left out. */
const least: Draft = { ...full, idempotencyKey: null, ttl: null, background: 0 };
const times = { time: 2000, createdAt: 5000 };

test('the columns of a message are those of its table', () => {
  const database = newDatabase();
  const columns = database.prepare("SELECT name FROM pragma_table_info('messages')").pluck().all();
  expect([...MESSAGE_COLUMNS].sort()).toEqual(columns.sort());
  expect(new Set(MESSAGE_COLUMNS).size).toBe(MESSAGE_COLUMNS.length);
});

test.each([
  ['every field', full],
  ['as few as there may be', least],
])('a draft is unpacked as it was packed, with %s, also behind another', (_what, draft) => {
  const values: ColumnValue[] = [];
  packDraft(values, full);
  packDraft(values, draft);
  expect([unpackDraft(values, 0), unpackDraft(values, PACKED_FIELDS)]).toStrictEqual([full, draft]);
  expect(values).toHaveLength(2 * PACKED_FIELDS);
});

test.each([
  ['every field', full],
  ['as few as there may be', least],
])(
  'a row that is stored and read is the message that its publisher was answered, with %s',
  (_what, draft) => {
    const database = newDatabase();
    const values: ColumnValue[] = [];
    pushRow(values, 7, times, draft);
    const places = MESSAGE_COLUMNS.map(() => '?').join();
    database.prepare(`INSERT INTO messages (${MESSAGE_COLUMNS.join()}) VALUES (${places})`).run(values);
    const read = database.prepare<[], Message>(`SELECT ${MESSAGE_COLUMNS.join()} FROM messages`).get();
    expect(read).toEqual(withId(7, times, draft));
  },
);

test('a message has the time of the log, and expires its ttl after the time of its entry', () => {
  expect(withId(7, times, full)).toMatchObject({ id: 7, createdAt: 5000, expiresAt: 62_000 });
  expect(withId(7, times, least).expiresAt).toBeNull();
  expect(asEphemeral(full, 9)).toMatchObject({ createdAt: 9, expiresAt: 60_009 });
});

test('as JSON a message has its fields in the order of the protocol, and leaves out those that say nothing', () => {
  expect(messageJson(withId(7, times, full))).toBe(
    '{"id":7,"sender":"ann \\"quoted\\"","recipient":"bob\u2028","type":"order.paid","content":{"a":[1,null]},' +
      '"createdAt":"1970-01-01T00:00:05.000Z","idempotencyKey":"key \\\\","expiresAt":"1970-01-01T00:01:02.000Z","background":true}',
  );
  const few =
    '"sender":"ann \\"quoted\\"","recipient":"bob\u2028","type":"order.paid","content":{"a":[1,null]},' +
    '"createdAt":"1970-01-01T00:00:05.000Z"}';
  expect(messageJson(withId(7, times, least))).toBe(`{"id":7,${few}`);
  // Stored before there was `background`.
  expect(messageJson({ ...withId(7, times, least), background: null })).toBe(`{"id":7,${few}`);
  expect(ephemeralJson(withId(7, times, least))).toBe(`{${few}`);
});

test('the fields of a message are named only where messages are described and where clients give them', () => {
  const root = new URL('../../src/', import.meta.url).pathname;
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const withoutComments = (file: string): string =>
    readFileSync(join(root, file), 'utf8').replaceAll(/^\s*(\/\/|\/?\*).*$/gm, '');
  const naming = files.filter((file) => withoutComments(file).includes('background'));
  expect(naming.sort()).toEqual([
    'http/body.ts',
    'message.ts',
    'openapi/message-schemas.ts',
    'publish/draft.ts',
    'publish/message-fields.ts',
  ]);
});
