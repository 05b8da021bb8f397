import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { LongestGap } from '../../bench/client/longest-gap.js';
import { CpuShare } from '../../bench/cluster/cpu-share.js';

const folder = mkdtempSync(join(tmpdir(), 'tidings-shares-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('a stall is the longest time without a success, also before the first one and after the last', () => {
  const gap = new LongestGap(100);
  expect(gap.longest(130)).toBe(30);
  gap.succeeded(150);
  gap.succeeded(160);
  expect(gap.longest(170)).toBe(50);
  expect(gap.longest(230)).toBe(70);
  gap.succeeded(230);
  expect(gap.longest(240)).toBe(70);
  expect(gap.successes).toBe(3);
});

test('a share of a core is set in the files of either version of control groups', () => {
  const first = join(folder, 'first');
  mkdirSync(first);
  writeFileSync(join(first, 'cpu.cfs_quota_us'), '-1');
  const second = join(folder, 'second');
  mkdirSync(second);
  const name = (what: string): string => `tidings-bench-${process.pid}-${what}`;

  const share = CpuShare.make('a', 0.25, { first, second });
  share?.hold(17);
  const made = (file: string): string => readFileSync(join(first, name('a'), file), 'utf8');
  expect([made('cpu.cfs_period_us'), made('cpu.cfs_quota_us'), made('cgroup.procs')]).toEqual([
    '20000',
    '5000',
    '17',
  ]);

  const other = CpuShare.make('b', 0.5, { first: join(folder, 'missing'), second });
  expect(other).toBeDefined();
  expect(readFileSync(join(second, name('b'), 'cpu.max'), 'utf8')).toBe('10000 20000');
});

test('no share of a core is made if this machine has no control groups', () => {
  const missing = join(folder, 'missing');
  expect(CpuShare.make('c', 0.25, { first: missing, second: missing })).toBeUndefined();
  expect(existsSync(missing)).toBe(false);
});
