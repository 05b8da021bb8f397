import { describe, expect, test } from '@jest/globals';
import { allSuites, PARTS, suitesOf } from '../../jest.ci.config.js';

describe('the suites that CI runs', () => {
  const parts = Array.from({ length: PARTS }, (_, index) => suitesOf(String(index + 1)));

  test('the parts together have every suite', () => {
    const played = new Set(parts.flat());
    expect(allSuites().filter((suite) => !played.has(suite))).toEqual([]);
    expect(suitesOf('all')).toEqual(allSuites());
  });

  test('a suite is in one part, or in all of them', () => {
    const counts = allSuites().map((suite) => parts.filter((part) => part.includes(suite)).length);
    expect(new Set(counts)).toEqual(new Set([1, PARTS]));
  });

  test.each(['unit/cursor', 'integration/delivery', 'integration/crash', 'browser/event-source'])(
    'each part has %s',
    (suite) => {
      for (const part of parts) expect(part).toContain(`one: ${suite}`);
    },
  );

  test.each(['0', `${PARTS + 1}`, '', 'some', '1.5', '-1', '01x'])(
    'a part %p is refused, and why',
    (part) => {
      expect(() => suitesOf(part)).toThrow(`CI_PART must be 1 to ${PARTS}, or all, and not "${part}"`);
    },
  );
});
