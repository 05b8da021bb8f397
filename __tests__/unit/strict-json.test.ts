import { describe, expect, test } from '@jest/globals';
import { Refusal } from '../../src/errors.ts';
import { type JsonForm, parseJson, textIn } from '../../src/http/strict-json.ts';

const BODY: JsonForm = { name: 'body', draftAt: [] };
const ENVELOPE: JsonForm = { name: 'message', draftAt: ['publish'] };
const PARTS = 50_000;

const parse = (text: string, form = BODY): unknown => parseJson(Buffer.from(text), form);

/** The status of a refusal and the paths in it; 200 if there is none. */
function refusalOf(text: string, form = BODY): [status: number, ...paths: string[]] {
  try {
    parse(text, form);
    return [200];
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return [error.status, ...error.errors.map(({ path }) => path)];
  }
}

/** Lists and objects in each other, with nothing in the innermost. */
const nested = (levels: number): string => {
  const [open, close] = ['{"a":['.repeat(levels / 2), ']}'.repeat(levels / 2)];
  return levels % 2 === 0 ? open + close : `[${open}${close}]`;
};
const list = (item: string, count: number): string => `[${Array<string>(count).fill(item).join()}]`;

describe('strict JSON', () => {
  test.each([
    '{"a":1,"b":[true,false,null,-0.5e-3,"x\\u0000\\n"],"":{}}',
    ' \t\r\n[ 1 , { "a" : [ ] } ]\n',
    '"\\\\"',
    '"a:b,c[d]{e}\\"f"',
    '[{"a":1},{"a":1},{"b":{"a":1}}]',
    '{"a":{"a":{"a":1}}}',
    '{"a":"a","b":"a"}',
    '{"a":1,"A":2,"a ":3,"á":4,"a\u0301":5}',
    '{"__proto__":1,"constructor":2,"hasOwnProperty":3}',
    '{"1":1,"01":2,"1.0":3}',
    '{"\\ud83d\\ude00":1}',
  ])('JSON of a client has the value that JSON.parse gives it: %s', (text) => {
    expect(parse(text)).toStrictEqual(JSON.parse(text));
  });

  test('JSON of a client may begin with a byte order mark, which is left out', () => {
    expect(parse('\uFEFF{"a":1}')).toEqual({ a: 1 });
    expect(refusalOf('\uFEFF\uFEFF1')).toEqual([400]);
  });

  test.each(['', ' ', '{', '"', '"\\', '[1,]', '{"a"}', '{"a":1', "{'a':1}", '1 2', ']', '}{', 'nul'])(
    'a text that is not JSON is refused: %j',
    (text) => expect(refusalOf(text)).toEqual([400]),
  );

  test.each<[string, string]>([
    ['{"a":1,"a":1}', '/a'],
    ['{"a":1,"b":{},"a":2}', '/a'],
    ['{"a":1,"\\u0061":2}', '/a'],
    ['{"\\ud83d\\ude00":1,"😀":2}', '/😀'],
    ['{"":1,"":2}', '/'],
    ['{"__proto__":1,"__proto__":2}', '/__proto__'],
    ['{"__proto__":{},"\\u005f_proto__":{}}', '/__proto__'],
    ['{"1":1,"1":2}', '/1'],
    ['{"a/b~":1,"a/b~":2}', '/a~1b~0'],
    ['{"a":{"b":[0,{"c":1},{"c":1,"d":2,"c":3}]}}', '/a/b/2/c'],
    ['[{"a":1},{"a":1,"a":1}]', '/1/a'],
    ['{"a":"a:","b":"\\":,","b" \t\r\n : 2}', '/b'],
    ['{"a":{"b":1,"b":2},"a":3}', '/a/b'],
    [`{"${'n'.repeat(400)}":1,"${'n'.repeat(400)}":2}`, `/${'n'.repeat(128)}`],
  ])('an object with a name twice is refused, and the refusal names it: %s', (text, path) => {
    expect(refusalOf(text)).toEqual([400, path]);
  });

  test('the pointers of a refusal begin at the message or batch in the JSON', () => {
    expect(refusalOf('{"publish":{"a":1,"a":2}}', ENVELOPE)).toEqual([400, '/a']);
    expect(refusalOf('{"publish":["\\ud800"],"ref":"\\ud800"}', ENVELOPE)).toEqual([400, '/0', '/ref']);
    expect(refusalOf('{"publish":1,"publish":2}', ENVELOPE)).toEqual([400, '/publish']);
  });

  test('a fault deep inside JSON is named by a container of it, so that the answer stays short', () => {
    const text = `${'{"aaaaaaaaa":'.repeat(400)}{"b":1,"b":2}${'}'.repeat(400)}`;
    const [, path = ''] = refusalOf(text);
    expect(path).toMatch(/^(\/aaaaaaaaa)+$/);
    expect(path.length).toBeLessThanOrEqual(512);
  });

  test.each<[string, ...string[]]>([
    ['["\\ud800"]', '/0'],
    ['{"a":"\\udc00\\ud800","b":{"c":"x\\uDFFFx"}}', '/a', '/b/c'],
    ['{"\\ud800":1}', '/\uFFFD'],
    ['[1e309,[-1e400]]', '/0', '/1/0'],
    [`{"a":${'9'.repeat(400)}}`, '/a'],
  ])(
    'JSON with values that JavaScript would alter is refused, and the refusal names each place: %s',
    (text, ...paths) => {
      expect(refusalOf(text)).toEqual([400, ...paths]);
    },
  );

  test('a refusal of JSON with many faults names a hundred of them', () => {
    expect(refusalOf(list('"\\ud800"', 1000))).toHaveLength(101);
  });

  test.each<[string, (content: string) => string, JsonForm]>([
    ['a message', (content) => `{"content":${content}}`, BODY],
    ['a batch', (content) => `[{"content":1},{"content":${content}}]`, BODY],
    ['a message on a socket', (content) => `{"publish":{"content":${content}},"ref":"a"}`, ENVELOPE],
    ['a batch on a socket', (content) => `{"publish":[{"content":${content}}]}`, ENVELOPE],
  ])('the content of %s may have 500 levels, and no more', (_what, around, form) => {
    expect(refusalOf(around(nested(500)), form)).toEqual([200]);
    expect(refusalOf(around(nested(501)), form)).toEqual([400]);
    expect(refusalOf(around(nested(100_000)), form)).toEqual([400]);
    expect(refusalOf(around('['.repeat(100_000)), form)).toEqual([400]);
  });

  test.each<[string, string, number]>([
    ['values', '1', 1],
    ['texts', '",:[{"', 1],
    ['empty lists', '[]', 2],
    ['empty objects', '{}', 2],
    ['members', '{"a":1}', 3],
  ])('JSON of a client may have 50,000 parts, and no more: %s', (_what, item, parts) => {
    // The list itself is one.
    const most = Math.floor((PARTS - 1) / parts);
    expect(refusalOf(list(item, most))).toEqual([200]);
    expect(refusalOf(list(item, most + 1))).toEqual([413]);
  });

  test('JSON with a content of 48 KiB is accepted, whatever is in the content', () => {
    const fill = (item: string): string => list(item, Math.floor((48 * 1024 - 1) / (item.length + 1)));
    for (const item of ['1', '""', '[]', '{}', '[[]]', '{"a":1}', '[1]', '[{}]']) {
      expect([item, refusalOf(`{"recipient":"bob","content":${fill(item)}}`)]).toEqual([item, [200]]);
    }
  });

  test('JSON of a batch of 1,000 messages with contents of twenty fields is accepted', () => {
    const content = JSON.stringify(
      Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`field${n}`, n])),
    );
    expect(refusalOf(list(`{"recipient":"bob","content":${content}}`, 1000))).toEqual([200]);
  });

  test('JSON is not looked at past the first excess', () => {
    // It would have been refused as not JSON.
    expect(refusalOf(`${list('1', PARTS + 2)}}{`)).toEqual([413]);
    expect(refusalOf(`${'['.repeat(600)}}{`)).toEqual([400]);
  });
});

describe('the search for a text', () => {
  test.each<[string, string | undefined]>([
    ['{"publish":{"ref":"inner"},"ref":"outer"}', 'outer'],
    ['{"a":"\\"ref\\":\\"x\\"","ref" :\n"y"}', 'y'],
    ['{"a":["ref"],"b":"ref","ref":"z"}', 'z'],
    ['{"ref":"\\u0061\\n"}', 'a\n'],
    ['{"ref":1}', undefined],
    ['{"ref":{"ref":"x"}}', undefined],
    ['{"publish":{"ref":"inner"}}', undefined],
    ['{"ref":"12345678901"}', undefined],
    ['{"ref":"\\x"}', undefined],
    ['{"ref":"open', undefined],
    ['{"ref"', undefined],
    ['"ref"', undefined],
    ['', undefined],
  ])('a text is found in an object that was not parsed if it is there and short: %s', (text, found) => {
    expect(textIn(Buffer.from(text), 'ref', 10)).toBe(found);
  });
});
