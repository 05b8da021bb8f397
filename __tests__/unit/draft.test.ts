import { describe, expect, test } from '@jest/globals';
import type { FieldError } from '../../src/errors.ts';
import { ContentTooLarge, type Publication, readPublication } from '../../src/publish/draft.ts';

const CONTEXT = { defaultSender: 'own', mayRead: (address: string) => address === 'mine' };

/** Reads one object of a publish. Returns the publication, and the faults as sentences. */
function read(fields: unknown, path = ''): { publication: Publication | undefined; faults: string[] } {
  const errors: FieldError[] = [];
  const publication = readPublication(fields, path, CONTEXT, errors);
  return { publication, faults: errors.map((error) => `${error.path} ${error.message}`) };
}

/** Returns the faults of a message to bob that has these fields, too; without a field that is `undefined`. */
function faultsOf(fields: object): string[] {
  const given: unknown = JSON.parse(JSON.stringify({ recipient: 'bob', content: 1, ...fields }));
  const { publication, faults } = read(given);
  expect(publication === undefined).toBe(faults.length > 0);
  return faults;
}

const NOT_STORED = 'cannot be given with "ephemeral": such a message is not stored';
const TYPE_RULE = 'must be 1 to 64 characters from a-z, 0-9, ".", "_" and "-", and must begin with a letter';
const TTL_RULE = 'must be a whole number of seconds from 1 to 31536000 (a year)';
const MARKER = { type: 'read', content: { messageId: 1 } };

describe('a message', () => {
  test('a message with the fewest fields gets the defaults of the others', () => {
    expect(read({ recipient: 'bob', content: null }).publication).toEqual({
      draft: {
        sender: 'own',
        recipient: 'bob',
        type: 'message',
        content: 'null',
        idempotencyKey: null,
        ttl: null,
        background: 0,
      },
      ephemeral: false,
    });
  });

  test('a message with all fields of a stored message keeps them', () => {
    const given = { sender: 'ann', recipient: 'bob', type: 'order.paid', idempotencyKey: 'k', ttl: 60 };
    const { publication } = read({ ...given, content: { a: [1, 'é'] }, background: true });
    expect(publication).toEqual({
      draft: { ...given, content: '{"a":[1,"é"]}', background: 1 },
      ephemeral: false,
    });
  });

  test.each([
    [{ background: false, ephemeral: false }, false],
    [{ ephemeral: true }, true],
    [{ ephemeral: true, background: false }, true],
    [{ ephemeral: false, ttl: 1, idempotencyKey: 'k' }, false],
  ])('a message with %j may be given, and is ephemeral: %s', (fields, ephemeral) => {
    const { publication, faults } = read({ recipient: 'bob', content: 1, ...fields });
    expect([publication?.ephemeral, publication?.draft.background, faults]).toEqual([ephemeral, 0, []]);
  });

  test.each([null, 1, 'a', true, [], [{ recipient: 'bob', content: 1 }]])(
    'a message cannot be %j',
    (fields) => {
      expect(read(fields)).toEqual({ publication: undefined, faults: [' must be a JSON object'] });
    },
  );

  test.each([
    [{ recipient: undefined }, '/recipient is required: the address to send to'],
    [{ recipient: 1 }, '/recipient must be a string'],
    [{ recipient: '*' }, '/recipient must not contain "*"'],
    [{ sender: '' }, '/sender must not be empty'],
    [{ sender: '$x' }, '/sender must not begin with "$", which is reserved for the system'],
    [{ content: undefined }, '/content is required: any JSON value'],
    ...['', 'A', '1a', '.a', 'a b', 'é', 'a'.repeat(65), 1, null].map((type) => [
      { type },
      `/type ${TYPE_RULE}`,
    ]),
    ...[0, -1, 1.5, '60', 31_536_001, null].map((ttl) => [{ ttl }, `/ttl ${TTL_RULE}`]),
    ...['', 'k'.repeat(129)].map((idempotencyKey) => [
      { idempotencyKey },
      '/idempotencyKey must be 1 to 128 characters long',
    ]),
    [{ idempotencyKey: 1 }, '/idempotencyKey must be a string'],
    [{ idempotencyKey: '\ud800' }, '/idempotencyKey must be well-formed Unicode: it has a lone surrogate'],
    ...['background', 'ephemeral'].flatMap((name) =>
      [1, 'true', null].map((value) => [{ [name]: value }, `/${name} must be true or false`]),
    ),
    [{ ephemeral: true, ttl: 1 }, `/ttl ${NOT_STORED}`],
    [{ ephemeral: true, idempotencyKey: 'k' }, `/idempotencyKey ${NOT_STORED}`],
    [{ ephemeral: true, background: true }, `/background ${NOT_STORED}`],
    [{ ...MARKER, ephemeral: true }, '/ephemeral cannot be given with type "read": a read marker is stored'],
    [{ ...MARKER, ttl: 1 }, '/ttl cannot be given with type "read": a read marker does not expire'],
    [
      { ...MARKER, background: true },
      '/background cannot be given with type "read": a read marker never counts',
    ],
    [{ recipent: 'x' }, '/recipent is not a field of a message. Did you mean "recipient"?'],
    [
      { 'a/b~c': 1 },
      '/a~1b~0c is not a field of a message. Valid names: sender, recipient, type, content, idempotencyKey, ttl, background, ephemeral',
    ],
  ] as [object, string][])('a message with %j is refused: %s', (fields, fault) => {
    expect(faultsOf(fields)).toEqual([fault]);
  });

  test.each([
    { type: 'a' },
    { type: `a${'9'.repeat(63)}` },
    { ttl: 1 },
    { ttl: 31_536_000 },
    { idempotencyKey: '🙂'.repeat(128) },
  ])('a message with %j, at the end of a range, may be given', (fields) => {
    expect(faultsOf(fields)).toEqual([]);
  });

  test('a message with a member __proto__ has an unknown field, and inherits nothing', () => {
    const given: unknown = JSON.parse('{"content":1,"__proto__":{"recipient":"bob"}}');
    expect(read(given).faults).toEqual([
      expect.stringMatching(/^\/__proto__ is not a field of a message/),
      '/recipient is required: the address to send to',
    ]);
  });

  test('a message is refused with each of its faults: unknown fields, bad fields, conflicts', () => {
    const { faults } = read({ zzz: 1, ttl: 0, ephemeral: true, content: 1, recipient: '' }, '/3');
    expect(faults).toEqual([
      expect.stringMatching(/^\/3\/zzz is not a field of a message/),
      '/3/recipient must not be empty',
      `/3/ttl ${TTL_RULE}`,
      `/3/ttl ${NOT_STORED}`,
    ]);
  });

  test('a message has at most a hundred of its unknown fields named, and each only in part if it is long', () => {
    const unknown = Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`${index}`, 1]));
    expect(faultsOf(unknown)).toHaveLength(100);
    expect(faultsOf({ ['x'.repeat(200)]: 1 })).toEqual([expect.stringMatching(/^\/x{128} is not/)]);
  });
});

describe('content', () => {
  test.each([
    ['a text', 'x'.repeat(48 * 1024 - 2), 'x'.repeat(48 * 1024 - 1)],
    ['text of several bytes a character', 'é'.repeat(24 * 1024 - 1), 'é'.repeat(24 * 1024)],
  ])('content may have 48 KiB as JSON: %s', (_what, fits, tooLarge) => {
    expect(faultsOf({ content: fits })).toEqual([]);
    const act = (path: string) => () => read({ recipient: 'bob', content: tooLarge }, path);
    expect(act('')).toThrow(ContentTooLarge);
    const rule = / bytes as JSON, but may have at most 49152: store it elsewhere, and send a link to it\.$/;
    expect(act('')).toThrow(rule);
    expect(act('')).toThrow(/^"content" has 4915[34] /);
    expect(act('/7')).toThrow(/^\/7\/content has 4915[34] /);
  });

  test('content that is too large is told only of a message without other faults', () => {
    expect(faultsOf({ content: 'x'.repeat(50_000), ttl: 0 })).toEqual([`/ttl ${TTL_RULE}`]);
  });
});

describe('a read marker', () => {
  test.each([
    ['mine', true],
    ['other', false],
  ])('a read marker for %s says whether its sender may read that inbox: %s', (recipient, readsRecipient) => {
    const { publication } = read({ ...MARKER, recipient });
    expect(publication).toMatchObject({ draft: { type: 'read', readsRecipient }, ephemeral: false });
  });

  test('a read marker is the only type that says whether its sender may read the inbox', () => {
    expect(read({ recipient: 'mine', content: 1 }).publication?.draft).not.toHaveProperty('readsRecipient');
  });

  test.each([
    null,
    1,
    [],
    {},
    { messageId: 0 },
    { messageId: -1 },
    { messageId: 1.5 },
    { messageId: '1' },
    { messageId: 2 ** 53 },
    { id: 1 },
  ])('a read marker with the content %j is refused', (content) => {
    const fault = '/content/messageId must be the id of the last message that was read';
    expect(faultsOf({ type: 'read', content })).toEqual([fault]);
  });

  test('a read marker with more than the id in its content is refused', () => {
    expect(faultsOf({ type: 'read', content: { messageId: 1, more: 1 } })).toEqual([
      '/content/messageId must be the only field in the content of a read marker',
    ]);
  });
});
