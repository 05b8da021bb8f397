import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get, publish, send, type WireMessage } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { cleanUp, Server } from '../support/server.ts';

const YEAR_SECONDS = 31_536_000;

let server: Server;
beforeAll(async () => {
  server = await Server.start();
});
afterAll(cleanUp);

/** A message with some fields of its own. */
const message = (fields: Record<string, unknown>) => ({ recipient: 'bob', content: 'hi', ...fields });

/** Asserts that a body is stored as it was given. */
async function expectStored(fields: Record<string, unknown>): Promise<void> {
  const answer = await publish(server.url, message(fields));
  expect({ status: answer.status, body: answer.body as unknown }).toMatchObject({
    status: 201,
    body: fields,
  });
}

describe('an address', () => {
  test.each([
    ['one character', 'a'],
    ['128 characters', 'a'.repeat(128)],
    ['128 code points beyond the BMP', '😀'.repeat(128)],
    ['NFC', 'caf\u00e9'],
    ['white space within', 'a b\u00a0c'],
    ['a $ that is not first', 'a$'],
    ['characters that a URL and JSON escape', '/%?#&+="\\<>'],
    ['a private-use character', '\ue000'],
    ['the name of a property of objects', '__proto__'],
    ['the name of another one', 'constructor'],
  ])('a good address is accepted, as recipient and as sender: %s', async (_what, address) => {
    await expectStored({ recipient: address, sender: address });
    const listed = await get(server.url, `/messages?recipient=${encodeURIComponent(address)}`);
    expect(listed.body).toMatchObject({ messages: [{ recipient: address, sender: address }] });
  });

  test.each<[string, unknown]>([
    ['empty', ''],
    ['129 characters', 'a'.repeat(129)],
    ['129 code points beyond the BMP', '😀'.repeat(129)],
    ['not NFC: a combining accent', 'cafe\u0301'],
    ['not NFC: a singleton', '\u212b'],
    ['with NUL', 'a\0b'],
    ['with a tab', 'a\tb'],
    ['with a line end', 'a\nb'],
    ['with a C1 control character', 'a\u0085b'],
    ['with a zero width space', 'a\u200bb'],
    ['with a soft hyphen', 'a\u00adb'],
    ['with a change of direction', 'a\u202eb'],
    ['with a format character beyond the BMP', 'a\u{e0041}b'],
    ['with a BOM', '\ufeffa'],
    ['*', '*'],
    ['with * at the end', 'a*'],
    ['with $ at the start', '$a'],
    ['white space', ' '],
    ['with a space at the start', ' a'],
    ['with a space at the end', 'a '],
    ['with an ideographic space at the start', '\u3000a'],
    ['with a no-break space at the end', 'a\u00a0'],
    ['with a line separator at the end', 'a\u2028'],
    ['with a high surrogate alone', 'a\ud800'],
    ['with a low surrogate alone', '\udc00a'],
    ['null', null],
    ['a number', 7],
    ['a list', ['a']],
  ])('a bad address is refused, as recipient and as sender: %s', async (_what, address) => {
    expectProblem(await publish(server.url, message({ recipient: address, sender: address })), 400, [
      '/recipient',
      '/sender',
    ]);
  });

  test('addresses are compared byte for byte', async () => {
    await send(server.url, 'Case', 1);
    expect((await get(server.url, '/messages?recipient=case')).body).toMatchObject({ messages: [] });
  });
});

describe('a field', () => {
  test.each<[string, Record<string, unknown>]>([
    ['a type of one letter', { type: 'a' }],
    ['a type of 64 characters', { type: 'a'.repeat(64) }],
    ['a type with every kind of character', { type: 'a-b_c.d9' }],
    ['a type that is the name of an event', { type: 'ready' }],
    ['a key of one character', { idempotencyKey: 'k' }],
    ['a key of 128 characters', { idempotencyKey: 'k'.repeat(128) }],
    ['content null', { content: null }],
    ['content false', { content: false }],
    ['content 0', { content: 0 }],
    ['content of an empty string', { content: '' }],
    ['content of the largest double', { content: Number.MAX_VALUE }],
    ['content of a nested object', { content: { a: [{ b: {} }, []], '': 1 } }],
  ])('%s is stored', (_what, fields) => expectStored(fields));

  test.each<[string, Record<string, unknown>, string]>([
    ['an empty type', { type: '' }, '/type'],
    ['a type of 65 characters', { type: 'a'.repeat(65) }, '/type'],
    ['a type with a capital', { type: 'aB' }, '/type'],
    ['a type that begins with a digit', { type: '1a' }, '/type'],
    ['a type that begins with a dot', { type: '.a' }, '/type'],
    ['a type with a space', { type: 'a b' }, '/type'],
    ['a type with a line end', { type: 'a\n' }, '/type'],
    ['a type with a letter beyond ASCII', { type: 'é' }, '/type'],
    ['a type that is not a string', { type: 1 }, '/type'],
    ['type null', { type: null }, '/type'],
    ['an empty key', { idempotencyKey: '' }, '/idempotencyKey'],
    ['a key of 129 characters', { idempotencyKey: 'k'.repeat(129) }, '/idempotencyKey'],
    ['a key that is not a string', { idempotencyKey: 1 }, '/idempotencyKey'],
    ['a key with a surrogate alone', { idempotencyKey: 'a\ud800' }, '/idempotencyKey'],
    ['ttl 0', { ttl: 0 }, '/ttl'],
    ['a negative ttl', { ttl: -1 }, '/ttl'],
    ['a ttl with a fraction', { ttl: 1.5 }, '/ttl'],
    ['a ttl of a year and a second', { ttl: YEAR_SECONDS + 1 }, '/ttl'],
    ['a ttl that is a string', { ttl: '60' }, '/ttl'],
    ['ttl null', { ttl: null }, '/ttl'],
    ['background that is a string', { background: 'true' }, '/background'],
    ['background that is a number', { background: 1 }, '/background'],
    ['background null', { background: null }, '/background'],
    [
      'background of a read marker',
      { background: true, type: 'read', content: { messageId: 1 } },
      '/background',
    ],
    ['ephemeral that is a string', { ephemeral: 'true' }, '/ephemeral'],
    ['ephemeral that is a number', { ephemeral: 1 }, '/ephemeral'],
    ['an unknown field', { contents: 1 }, '/contents'],
    ['an unknown field whose name a JSON Pointer escapes', { 'a/b~c': 1 }, '/a~1b~0c'],
    ['a field of a stored message', { id: 1 }, '/id'],
    ['a surrogate alone in content', { content: 'a\ud800' }, '/content'],
    ['a surrogate alone deep in content', { content: { a: [{ b: '\udc00' }] } }, '/content'],
    ['a surrogate alone in a name in content', { content: { '\ud800': 1 } }, '/content'],
  ])('%s is refused, and the refusal names the field', async (_what, fields, path) => {
    const answer = await publish(server.url, message(fields));
    expectProblem(answer, 400);
    expect((answer.body as { errors: { path: string }[] }).errors).toEqual([
      { path: expect.stringMatching(new RegExp(`^${path}(/|$)`)), message: expect.any(String) },
    ]);
  });

  test('a refusal names each missing field, and all bad fields at once', async () => {
    expectProblem(await publish(server.url, {}), 400, ['/content', '/recipient']);
    expectProblem(await publish(server.url, { recipient: '*', content: 1, typ: 2, ttl: 0 }), 400, [
      '/recipient',
      '/ttl',
      '/typ',
    ]);
  });

  test.each([1, YEAR_SECONDS])('ttl %d sets when a message expires', async (ttl) => {
    const sent = await send(server.url, 'tina', 1, { ttl });
    expect(Date.parse(sent.expiresAt ?? '')).toBe(Date.parse(sent.createdAt) + ttl * 1000);
  });
});

describe('a batch', () => {
  const batch = (length: number, recipient: string) =>
    Array.from({ length }, (_, index) => ({ recipient, content: index }));

  test.each([1, 1000])('a batch of %d is stored in order', async (length) => {
    const answer = await publish(server.url, batch(length, `batch-${length}`));
    const stored = answer.body as WireMessage[];
    expect(answer.status).toBe(201);
    expect(stored.map(({ content }) => content)).toEqual(Array.from({ length }, (_, index) => index));
    expect(stored.map(({ id }) => id)).toEqual(stored.map(({ id }) => id).sort((a, b) => a - b));
    const page = await get(server.url, `/messages?recipient=batch-${length}&limit=1000`);
    expect(page.body).toMatchObject({ messages: stored });
  });

  test.each([0, 1001])('a batch of %d is refused', async (length) => {
    expectProblem(await publish(server.url, batch(length, 'batch-refused')), 400, []);
  });

  test('a batch with a bad entry stores nothing, and the refusal names the entry', async () => {
    const entries: unknown[] = batch(5, 'batch-bad');
    entries[3] = { recipient: '$system', content: 1 };
    expectProblem(await publish(server.url, entries), 400, ['/3/recipient']);
    entries[1] = 7;
    expectProblem(await publish(server.url, entries), 400, ['/1', '/3/recipient']);
    expect((await get(server.url, '/messages?recipient=batch-bad')).body).toMatchObject({ messages: [] });
  });
});

describe('an answer', () => {
  test('a 201 has the stored message, and its URL in Location', async () => {
    const answer = await publish(server.url, { recipient: 'rose', content: { a: 1 } });
    const { id, createdAt } = answer.body as WireMessage;
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      id,
      sender: 'anonymous',
      recipient: 'rose',
      type: 'message',
      content: { a: 1 },
      createdAt,
    });
    expect(Number.isSafeInteger(id) && id > 0).toBe(true);
    expect(new Date(createdAt).toISOString()).toBe(createdAt);
    expect(answer.headers.get('location')).toBe(`/messages/${id}`);
    expect((await get(server.url, `/messages/${id}`)).body).toEqual(answer.body);
  });
});
