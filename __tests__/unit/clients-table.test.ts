import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { CLIENTS } from '../support/foreign-client.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGE = readFileSync(join(ROOT, 'docs/clients.md'), 'utf8');

/** The applications in `support/clients`, and which package of which row they take. */
const PACKAGES: readonly (readonly [file: RegExp, row: string, name: string])[] = [
  [/^fetch-event-source/, '`@microsoft/fetch-event-source`', '@microsoft/fetch-event-source'],
  [/^reconnecting-eventsource/, '`reconnecting-eventsource`', 'reconnecting-eventsource'],
  [/^eventsource-4/, '`eventsource` 4', 'eventsource'],
  [/^eventsource-2/, '`eventsource` 2', 'eventsource-2'],
  [/^eventsource-parser/, '`eventsource-parser`', 'eventsource-parser'],
  [/^launchdarkly-eventsource/, '`launchdarkly-eventsource`', 'launchdarkly-eventsource'],
  [/^event-source-plus/, '`event-source-plus`', 'event-source-plus'],
];

test.each(PACKAGES)('the table of clients names the version of %s that is tried', (_file, row, name) => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as {
    version: string;
  };
  const [line = ''] = PAGE.split('\n').filter((one) => one.startsWith(`| ${row} `));
  expect(line.split('|')[2]?.trim()).toBe(version);
});

test('every client that is tried has a row in the table', () => {
  const others = readdirSync(CLIENTS).filter((file) => !PACKAGES.some(([pattern]) => pattern.test(file)));
  // The browsers' own, curl, Python, and the types of what has none.
  expect(others.sort()).toEqual(['curl.sh', 'event-source.html', 'python.py', 'untyped.d.ts']);
  for (const row of [
    '`EventSource` of Chromium',
    '`EventSource` of Firefox',
    'curl',
    'Python, standard library',
  ]) {
    expect(PAGE).toContain(`\n| ${row} `);
  }
});
