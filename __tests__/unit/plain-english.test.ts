import { readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { habitsIn } from '../support/plain-english.ts';

/** Every file that people read as a text, or whose comments and messages they read. */
const FILES = execFileSync('git', ['ls-files', '*.md', 'src', 'public', 'bench', 'db', '.github'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => /\.(?:md|ts|js)$/.test(file));

test('docs, comments and messages are free of wordings that readers stumble over', () => {
  expect(FILES.length).toBeGreaterThan(200);
  const findings = FILES.flatMap((file) =>
    habitsIn(file, readFileSync(file, 'utf8')).map(
      ({ line, words, instead }) => `${file}:${line}: "${words}"; write: ${instead}`,
    ),
  );
  expect(findings).toEqual([]);
});

describe('a habit of wording', () => {
  test.each([
    ['docs.md', 'It uses the newest, and the first where there is none.'],
    ['docs.md', 'A session that\nis over is refused.'],
    ['docs.md', '| a | kept for ever |'],
    ['docs.md', '- The file has to be there.'],
    ['code.ts', '/** Returns the key, or nothing where there is none. */\nexport const key = 1;'],
    ['code.ts', '/**\n * What waits is stored.\n */\nexport const queue = [];'],
    ['code.ts', 'const queue = []; // Those that wait.'],
    ['code.js', 'fail("it is asked for anew");'],
    ['code.js', 'fail(`at the most ${count}`);'],
  ])('a habit of wording is found in %s: %s', (name, text) => {
    expect(habitsIn(name, text)).toHaveLength(1);
  });

  test.each([
    ['docs.md', '```\nthere is none where there is none\n```'],
    ['docs.md', 'The line says `session is over`, or "where there is none".'],
    ['docs.md', 'The folder where it is kept, and the whole is overridden.'],
    ['docs.md', '## What is promised'],
    ['code.ts', 'const anew = 1;'],
    ['code.ts', '/** Returns what waits. */\nexport const queue = [];'],
    ['code.css', 'anew'],
  ])('a habit of wording is not seen in %s: %s', (name, text) => {
    expect(habitsIn(name, text)).toEqual([]);
  });
});
