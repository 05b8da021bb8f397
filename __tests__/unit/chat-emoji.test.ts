import { describe, expect, test } from '@jest/globals';

interface Emoji {
  readonly isFewEmoji: (text: string) => boolean;
  readonly firstLetter: (text: string) => string;
  readonly beginningOf: (text: string, length: number) => string;
}

const module = '../../public/chat/emoji.js';
const withSegmenter = (await import(module)) as Emoji;
/** As in a browser that cannot tell letters apart. */
const { Segmenter } = Intl;
Reflect.deleteProperty(Intl, 'Segmenter');
const without = (await import(`${module}?without`)) as Emoji;
Object.assign(Intl, { Segmenter });

describe.each([
  ['a browser with Intl.Segmenter', withSegmenter],
  ['a browser without it', without],
])('in %s', (_browser, { isFewEmoji, firstLetter, beginningOf }) => {
  test.each('😀|👍🏽|❤️|🇩🇪|👩‍👩‍👧‍👦|🏴󠁧󠁢󠁥󠁮󠁧󠁿|👩🏽‍❤️‍💋‍👨🏾|🏳️‍🌈|#️⃣|7⃣|©️|🎉🎉🎉|🇩🇪🇫🇷🇯🇵| 🎉 🎉\n|👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦|⌚'.split('|'))(
    '%s is only emoji',
    (text) => {
      expect(isFewEmoji(text)).toBe(true);
    },
  );

  test.each([
    '',
    ' ',
    '1',
    '#',
    '*',
    '12',
    '©',
    '⌚︎',
    '🎉a',
    'a🎉',
    '🎉🎉🎉🎉',
    '🇩',
    '王',
    '🎉'.repeat(100),
    '😀́',
    '😀.',
  ])('%j is not only a few emoji', (text) => {
    expect(isFewEmoji(text)).toBe(false);
  });

  test.each([
    ['🇩🇪rman', '🇩🇪'],
    ['👩‍👩‍👧‍👦', '👩‍👩‍👧‍👦'],
    ['👍🏽up', '👍🏽'],
    ['e\u0301mile', 'e\u0301'],
    ['王小明', '王'],
    ['alice', 'a'],
    ['1st', '1'],
    ['', ''],
  ])('the first letter of %j is %j', (text, letter) => {
    expect(firstLetter(text)).toBe(letter);
  });

  test('the beginning of a text is as long as it may be, and well formed', () => {
    expect(beginningOf('abc', 3)).toBe('abc');
    expect(beginningOf('abcd', 3)).toBe('abc');
    expect(beginningOf(`ab${'😀'.repeat(3)}`, 5).isWellFormed()).toBe(true);
    // So many accents on one letter.
    expect(beginningOf(`a${'\u0301'.repeat(1000)}`, 500).length).toBe(500);
  });
});

test('the beginning of a text cuts no letter in two', () => {
  const text = `abc${'👩‍👩‍👧‍👦'.repeat(2)}`;
  for (let length = 3; length < 14; length++) expect(withSegmenter.beginningOf(text, length)).toBe('abc');
  expect(withSegmenter.beginningOf(text, 14)).toBe('abc👩‍👩‍👧‍👦');
  expect(withSegmenter.beginningOf(`ab\r\n${'c'.repeat(5)}`, 3)).toBe('ab');
});
