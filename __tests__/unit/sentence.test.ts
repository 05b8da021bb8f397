import { expect, test } from '@jest/globals';
import { runClusterCommand } from '../../src/cluster/command.ts';
import { readFlags } from '../../src/config/config-values.ts';
import { firstSentence, sentence } from '../../src/sentence.ts';

test.each([
  ['it is full', 'it is full.'],
  ['it is full.', 'it is full.'],
  ['refuses connections: does a server run there?', 'refuses connections: does a server run there?'],
])('"%s" is the sentence "%s"', (text, whole) => {
  expect(sentence(text)).toBe(whole);
});

test.each([
  ["Unknown option '--x'. To specify it, use '--'.", "Unknown option '--x'."],
  [
    "Option '--days' argument is ambiguous.\nDid you forget it?\nUse '--days=-XYZ'.",
    "Option '--days' argument is ambiguous.",
  ],
  ["Option '--days <value>' argument missing", "Option '--days <value>' argument missing."],
  ["Unknown option '--a.b'", "Unknown option '--a.b'."],
])('the first sentence of "%s" is "%s"', (text, first) => {
  expect(firstSentence(text)).toBe(first);
});

test('a flag with a value that looks like another flag is refused in one line, whose sentences have one full stop each', async () => {
  const why = '--days needs a value that does not begin with "-".';
  const refused = runClusterCommand(['retention', '--days', '-1'], Infinity);
  await expect(refused).rejects.toThrow(new Error(`${why} cluster --help lists the flags.`));
  expect(() => readFlags(['--days', '-1'], ['days'])).toThrow(new Error(`${why} The flags are --days.`));
});
