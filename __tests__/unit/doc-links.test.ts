import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';

const ROOT = join(import.meta.dirname, '../..');

const pages = ['.', 'docs'].flatMap((folder) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

test.each(pages)('each file and each suite of tests that %s names is there', (page) => {
  const text = readFileSync(join(ROOT, page), 'utf8');
  const files = [...text.matchAll(/\]\((?![a-z]+:)([^)#\s]+)/g)].map(([, path = '']) =>
    join(dirname(page), path),
  );
  const suites = [...text.matchAll(/`((?:unit|integration|fuzz|browser)\/[a-z-]+)`/g)].map(
    ([, name]) => `__tests__/${name}.test.ts`,
  );
  expect([...files, ...suites].filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});
