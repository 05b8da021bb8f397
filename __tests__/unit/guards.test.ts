import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Compiler } from '../support/guards/compiler.js';
import { guardsIn, withoutGuard } from '../support/guards/guards.js';
import { FITTING, suitesFor } from '../support/guards/suites.js';

const ROOT = join(import.meta.dirname, '../..');

const CODE = `
export function next(job, wait) {
  if (job.isClosed) return;
  if (job.isEmpty) {
    job.count += 1;
    throw new Error('empty');
  }
  for (const step of job) {
    if (step.isDone) continue;
    if (step.isLast) break;
  }
  job.wait = Math.min(2 * wait, MAX_WAIT);
  if (job.isNew) job.start();
  if (job.isOdd) return 1;
  else if (job.isEven) return 2;
  return Math.max(...job.times);
}
`;

describe('the script that takes guards out', () => {
  test('the script for guards finds early exits and bounds, and no other conditions', () => {
    expect(guardsIn('code.js', CODE).map(({ line, code }) => `${line}: ${code}`)).toEqual([
      '3: if (job.isClosed) return;',
      "4: if (job.isEmpty) { job.count += 1; throw new Error('empty'); }",
      '9: if (step.isDone) continue;',
      '10: if (step.isLast) break;',
      '12: Math.min(2 * wait, MAX_WAIT)',
    ]);
  });

  test('the script for guards takes out one guard and leaves the rest of the file as it is', () => {
    const changed = guardsIn('code.js', CODE).map((guard) => {
      const lines = withoutGuard(CODE, guard).split('\n');
      return lines.filter((line, at) => line !== CODE.split('\n')[at]).map((line) => line.trim());
    });
    expect(changed).toEqual([
      ['if (false) return;'],
      ['if (false) {'],
      ['if (false) continue;'],
      ['if (false) break;'],
      ['job.wait = (2 * wait);'],
    ]);
  });

  test('the script for guards tells guards that the compiler needs from the others', () => {
    const file = 'public/worker/shell.js';
    const compiler = new Compiler(ROOT);
    const text = `${readFileSync(join(ROOT, file), 'utf8')}
/** @param {number[]} list @returns {number} */
function first(list) {
  const [value] = list;
  if (value === undefined) return 0;
  if (value > 9) return 9;
  return value;
}
first([]);
`;
    const [narrowing, bound] = guardsIn(file, text).slice(-2);
    if (narrowing === undefined || bound === undefined) throw new Error('the text has two guards');
    expect(compiler.accepts(file, withoutGuard(text, narrowing))).toBe(false);
    expect(compiler.accepts(file, withoutGuard(text, bound))).toBe(true);
  });

  test('the script for guards finds the suites of a file: unit suites that import it, then those with its name, then those of its folder', () => {
    const [near, , dear] = suitesFor(ROOT, 'src/push/push-sender.ts');
    expect(near?.[0]).toBe('unit/push-sender');
    expect(dear).toContain('integration/push');
    const [ofPage] = suitesFor(ROOT, 'public/chat/markdown.js');
    expect(ofPage?.[0]).toBe('unit/chat-markdown');
  });

  test.each(Object.entries(FITTING))(
    'the script for guards names suites for %s that exist',
    (folder, suites) => {
      expect(existsSync(join(ROOT, folder))).toBe(true);
      for (const suite of suites.split(' '))
        expect(existsSync(join(ROOT, `__tests__/${suite}.test.ts`))).toBe(true);
    },
  );
});
