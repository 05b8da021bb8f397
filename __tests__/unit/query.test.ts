import { describe, expect, test } from '@jest/globals';
import { Refusal } from '../../src/errors.ts';
import { nonEmpty, originForm, parsePairs, pathOf, Query } from '../../src/http/query.ts';

const PARAMETER = { description: '', schema: {} };
const KNOWN = { recipient: PARAMETER, limit: PARAMETER, before: PARAMETER };

/** Returns the refusal that a function throws. */
function refusalOf(act: () => unknown): Refusal {
  try {
    act();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('Nothing was refused');
}

/** Reads one query, and returns the faults that its check reports. */
function faultsOf(query: string, read: (query: Query) => unknown = () => undefined): string[] {
  const asked = new Query(`/messages?${query}`, KNOWN);
  read(asked);
  const { status, errors } = refusalOf(() => asked.check());
  expect(status).toBe(400);
  return errors.map(({ path, message }) => `${path} ${message}`);
}

describe('pairs', () => {
  test.each<[string, [string, string][]]>([
    ['', []],
    ['&&', []],
    ['a', [['a', '']]],
    ['a=', [['a', '']]],
    ['=a', [['', 'a']]],
    ['a=b=c', [['a', 'b=c']]],
    ['a+b=%2B+', [['a b', '+ ']]],
    ['%C3%A9=%F0%9F%99%82', [['é', '🙂']]],
    ['a=\uFFFD&a=%EF%BF%BD', ['\uFFFD', '\uFFFD'].map((sign): [string, string] => ['a', sign])],
  ])('the pairs of the text %j are read in order and unaltered', (text, pairs) => {
    expect(parsePairs(text)).toEqual(pairs);
  });

  test.each([
    ['a=%', '"%"'],
    ['%zz=a', '"%zz"'],
    ['a=%FF', '"%FF"'],
    ['a=%ED%A0%80', '"%ED%A0%80"'],
    [`a=%${'x'.repeat(200)}`, `"%${'x'.repeat(99)}"`],
  ])('the pairs of the text %j are refused with the part that is malformed', (text, part) => {
    const { status, message } = refusalOf(() => parsePairs(text));
    expect(status).toBe(400);
    expect(message).toBe(
      `${part} is not valid percent-encoded UTF-8. Write "%" as "%25" (with curl: --data-urlencode).`,
    );
  });

  test('the pairs of one text are at most a thousand', () => {
    expect(parsePairs(Array(1000).fill('a=b').join('&'))).toHaveLength(1000);
    const { message } = refusalOf(() => parsePairs(Array(1001).fill('a=b').join('&')));
    expect(message).toBe('The query has more than 1000 parameters.');
  });
});

test.each([
  ['/messages?a=b', '/messages?a=b'],
  ['http://a.example/messages', '/messages'],
  ['HTTPS://a.example:8443/?a', '/?a'],
  ['http://a.example', '/'],
  ['http://a.example?a=b', '/?a=b'],
  ['//a.example/x', '//a.example/x'],
])('the target %s is read as the path %s', (target, path) => {
  expect(originForm(target)).toBe(path);
});

test.each(['*', 'messages', 'a.example:443', 'ftp://a.example/x', ''])(
  'the target %j has no path and is refused',
  (target) => {
    const { status, message } = refusalOf(() => originForm(target));
    expect([status, message]).toEqual([404, 'The request has no path. Send one, such as /messages.']);
  },
);

test('the path of a target ends at its first question mark', () => {
  expect(['/a?b?c', '/a', '?'].map(pathOf)).toEqual(['/a', '/a', '']);
});

test('a parameter that is missing, repeated or empty has no text', () => {
  expect([undefined, '', ['a', 'b'], 'a'].map(nonEmpty)).toEqual([undefined, undefined, undefined, 'a']);
});

describe('a query', () => {
  test('a query gives the values of its parameters', () => {
    const asked = new Query('/messages?recipient=b&recipient=a&recipient=b&limit=007&before=9', KNOWN);
    expect(asked.addresses('recipient', { min: 1, max: 2 })).toEqual(['b', 'a']);
    expect([asked.count('recipient'), asked.count('x'), asked.has('limit'), asked.has('x')]).toEqual([
      3,
      0,
      true,
      false,
    ]);
    expect(asked.integer('limit', 1, { min: 1, max: 7 })).toBe(7);
    expect(asked.before()).toBe(9);
    expect(() => asked.check()).not.toThrow();
  });

  test('a query without parameters has their defaults', () => {
    const asked = new Query('/messages', KNOWN);
    expect(asked.text('before')).toBeUndefined();
    expect(asked.before()).toBeUndefined();
    expect(asked.integer('limit', 50, { min: 1, max: 100 })).toBe(50);
    expect(asked.addresses('recipient', { min: 0, max: 1 })).toEqual([]);
    expect(() => asked.check()).not.toThrow();
  });

  test.each([
    ['limt=1', '/limt is not a query parameter of /messages. Did you mean "limit"?'],
    ['zzzzzzz', '/zzzzzzz is not a query parameter of /messages. Valid names: recipient, limit, before'],
    [
      '__proto__=1',
      '/__proto__ is not a query parameter of /messages. Valid names: recipient, limit, before',
    ],
  ])('a query with an unknown parameter is refused: %s', (query, fault) => {
    expect(faultsOf(query)).toEqual([fault]);
  });

  test('a query names its path and an unknown parameter only in part if they are long, and each parameter once', () => {
    const asked = new Query(`/${'p'.repeat(200)}?${'n'.repeat(200)}=1&${'n'.repeat(200)}=2`, {});
    const { errors } = refusalOf(() => asked.check());
    expect(errors).toEqual([
      {
        path: `/${'n'.repeat(128)}`,
        message: `is not a query parameter of /${'p'.repeat(99)}: this request takes none`,
      },
    ]);
  });

  test.each(['0', '101', '-1', '1.5', '', ' 1', '1e1', '0x1', '٣', '9'.repeat(17)])(
    'a query with the number %j out of its range is refused',
    (text) => {
      const read = (asked: Query) => asked.integer('limit', 50, { min: 1, max: 100 });
      expect(faultsOf(`limit=${text}`, read)).toEqual(['/limit must be a whole number from 1 to 100']);
    },
  );

  test.each(['0', '-1', '1.5', '', 'newest', 'LATEST', '9007199254740992'])(
    'a query with before=%s, which is no id, is refused',
    (text) => {
      const fault = '/before must be the id of a message, or "latest"';
      expect(faultsOf(`before=${text}`, (asked) => asked.before())).toEqual([fault]);
    },
  );

  test('a query takes the highest id, and latest, to read back from', () => {
    expect(new Query('/?before=9007199254740991', KNOWN).before()).toBe(Number.MAX_SAFE_INTEGER);
    expect(new Query('/?before=latest', KNOWN).before()).toBeUndefined();
  });

  test('a query that repeats a parameter that is given once is refused, with the same value too', () => {
    const read = (asked: Query) => asked.text('limit');
    expect(faultsOf('limit=1&limit=1', read)).toEqual(['/limit is given more than once']);
  });

  test.each<[string, number, number, string[]]>([
    ['limit=1', 1, 2, ['/recipient is required: an address, as in ?recipient=bob']],
    ['recipient=a&recipient=b', 1, 1, ['/recipient must be given once']],
    ['recipient=a&recipient=b&recipient=c', 1, 2, ['/recipient may be given with at most 2 addresses']],
    ['recipient=', 1, 2, ['/recipient must not be empty']],
    [
      'recipient=*&recipient=%20a',
      1,
      2,
      ['/recipient must not contain "*"', '/recipient must not begin or end with white space'],
    ],
  ])('a query with the addresses of %s is refused: %d to %d are asked for', (query, min, max, faults) => {
    expect(faultsOf(query, (asked) => asked.addresses('recipient', { min, max }))).toEqual(faults);
  });

  test.each<[string, string | undefined, string[]]>([
    ['', 'own', ['own']],
    ['recipient=a&recipient=a&recipient=b', 'own', ['a', 'b']],
    ['recipient=*', 'own', ['*']],
    ['recipient=*&recipient=*', undefined, ['*']],
  ])('the query %j of a client named %s follows the inboxes %j', (query, own, inboxes) => {
    const asked = new Query(`/stream?${query}`, KNOWN);
    expect(asked.inboxes(own)).toEqual(inboxes);
    expect(() => asked.check()).not.toThrow();
  });

  test('a query is refused if it names no inbox in open mode, or * beside an address', () => {
    const read = (asked: Query) => asked.inboxes(undefined);
    expect(faultsOf('limit=1', read)).toEqual(['/recipient is required: an address, as in ?recipient=bob']);
    expect(faultsOf('recipient=*&recipient=a', read)).toEqual(['/recipient must not contain "*"']);
    const many = Array.from({ length: 101 }, (_, index) => `recipient=a${index}`).join('&');
    expect(faultsOf(many, read)).toEqual(['/recipient may be given with at most 100 addresses']);
  });

  test('a query is refused with all of its faults together', () => {
    const asked = new Query('/messages?limt=1&limit=x', KNOWN);
    asked.integer('limit', 1, { min: 1, max: 2 });
    expect(refusalOf(() => asked.check()).message).toBe(
      '"limt" is not a query parameter of /messages. Did you mean "limit"? 1 more problem, see errors.',
    );
  });
});
