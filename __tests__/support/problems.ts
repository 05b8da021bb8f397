/** The form of every refusal. */
import { expect } from '@jest/globals';
import { PROBLEM_STATUS } from '../../src/errors.ts';
import type { Answer } from './api.ts';

/** Returns whether this is the `type` of a problem with this status: the address of its section on the page of problems. */
export function isProblemType(type: unknown, status: unknown): boolean {
  const [, kind = ''] = /^(?:\/[a-z]+)*\/problems#([a-z-]+)$/.exec(String(type)) ?? [];
  return Object.entries(PROBLEM_STATUS).some((known) => known[0] === kind && known[1] === status);
}

interface Problem {
  readonly type: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

/** The places that a refusal names, sorted. */
export function errorPaths(answer: Answer): string[] {
  return ((answer.body as Problem).errors ?? []).map(({ path }) => path).sort();
}

/**
 * Asserts that an answer is a problem of RFC 9457 with this status.
 *
 * @param paths the JSON Pointers of its `errors`; where left out, they are not looked at
 */
export function expectProblem(answer: Answer, status: number, paths?: readonly string[]): void {
  expect({ status: answer.status, body: answer.body as unknown }).toMatchObject({
    status,
    body: {
      type: expect.any(String),
      title: expect.stringMatching(/./),
      status,
      detail: expect.stringMatching(/./),
    },
  });
  const { type } = answer.body as Problem;
  expect(`${type} ${isProblemType(type, status)}`).toBe(`${type} true`);
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json\b/);
  for (const error of (answer.body as Problem).errors ?? []) {
    expect(error).toEqual({ path: expect.any(String), message: expect.stringMatching(/./) });
  }
  if (paths !== undefined) expect(errorPaths(answer)).toEqual([...paths].sort());
  // No stack, path of a file or SQL leaves.
  expect(JSON.stringify(answer.body)).not.toMatch(/node_modules|\.js:|\bSELECT\b|SQLITE/);
}
