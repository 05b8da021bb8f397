import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test } from '@jest/globals';
import type { Row } from '../../bench/case.js';
import { Samples } from '../../bench/samples.js';
import { writeResults } from '../../bench/table.js';

const folder = mkdtempSync(join(tmpdir(), 'tidings-table-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The last cells of a row's line: ratio, target, reached. */
function judged(row: Partial<Row>): string {
  const rows = [{ name: 'case', unit: 'ms', figure: 1, ...row }];
  const table = writeResults(pathToFileURL(`${folder}/`), { head: {}, rows, foot: [] });
  expect(table).toBe(readFileSync(join(folder, 'results.md'), 'utf8'));
  return (
    table
      .split('\n')
      .find((line) => line.startsWith('| case ('))
      ?.split('|')
      .slice(4, -1)
      .join('|') ?? ''
  );
}

test('a target is a bound on the figure or on its ratio to the other, from above or from below', () => {
  expect(judged({ figure: 14, target: { of: 'figure', atMost: 14 } })).toBe('  | ≤ 14 | yes ');
  expect(judged({ figure: 15, target: { of: 'figure', atMost: 14 } })).toBe('  | ≤ 14 | no ');
  const against = { against: 'Nchan', other: 100 };
  expect(judged({ ...against, figure: 400, target: { of: 'ratio', atLeast: 4 } })).toBe(
    ' 4 × | ≥ 4 × | yes ',
  );
  expect(judged({ ...against, figure: 390, target: { of: 'ratio', atLeast: 4 } })).toBe(
    ' 3.9 × | ≥ 4 × | no ',
  );
  expect(judged({ ...against, figure: 390 })).toBe(' 3.9 × |  |  ');
});

test('a server that fell short of the rate loses to one that did not, and is not compared with another such one', () => {
  const target = { of: 'ratio', atMost: 1 } as const;
  const short = 'reached 1,900/s';
  expect(judged({ figure: 5, against: 'Nchan', other: short, target })).toBe('  | ≤ 1 × | yes ');
  expect(judged({ figure: short, against: 'Nchan', other: 5, target })).toBe('  | ≤ 1 × | no ');
  expect(judged({ figure: short, against: 'Nchan', other: short, target })).toBe('  | ≤ 1 × |  ');
  expect(judged({ figure: 5, against: 'Nchan', other: 'refused: lost', target })).toBe('  | ≤ 1 × |  ');
});

test('a figure within a quarter of what the load client can do is marked', () => {
  const table = (figure: number): string =>
    writeResults(pathToFileURL(`${folder}/`), {
      head: {},
      rows: [{ name: 'case', unit: '/s', figure, ceiling: 100 }],
      foot: [],
    });
  expect(table(75)).toContain('75, client-bound');
  expect(table(74)).not.toContain('client-bound');
});

test('the figure of several runs is the middle one, and one refused run refuses all', () => {
  const samples = new Samples(() => undefined);
  for (const figure of [3, 'reached 5/s', 1]) samples.add('case', 'Tidings', figure);
  expect(samples.median('case', 'Tidings')).toBe(3);
  for (const figure of ['reached 6/s', 'reached 7/s']) samples.add('case', 'Tidings', figure);
  expect(samples.median('case', 'Tidings')).toMatch(/^reached/);
  samples.add('case', 'Tidings', 'refused: a device got 1 message instead of 2');
  expect(samples.median('case', 'Tidings')).toMatch(/^refused/);
});

test('rows of one line form a table of their own, with missed targets in bold', () => {
  const time = {
    name: 'publish p99',
    unit: 'ms',
    against: 'alone',
    target: { of: 'ratio', atMost: 3 },
  } as const;
  const failed = { name: 'failed', unit: 'requests', target: { of: 'figure', atMost: 0 } } as const;
  const table = writeResults(pathToFileURL(`${folder}/`), {
    head: {},
    rows: [
      { ...time, line: 'first', figure: 4, other: 2 },
      { ...failed, line: 'first', figure: 0 },
      { ...time, line: 'second', figure: 8, other: 2, floor: 7 },
      { ...failed, line: 'second', figure: 1 },
    ],
    foot: [],
  });
  expect(table.trim().split('\n')).toEqual([
    '|  | publish p99 (ms), ≤ 3 × | failed (requests), ≤ 0 | reached |',
    '| --- | --- | --- | --- |',
    '| first | 4, alone 2 (2 ×) | 0 | yes |',
    '| second | **8**, alone 2 (4 ×), client-bound | **1** | no |',
  ]);
});
