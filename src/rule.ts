import type { Schema } from './schema.ts';

/** A rule for values: a check, and a schema that tells clients which values are valid. */
export interface Rule {
  /** Returns why a value breaks the rule, as the end of a sentence; `undefined` if the value is valid. */
  readonly fault: (value: unknown) => string | undefined;
  readonly schema: Schema;
}

/** The range of a whole number. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Returns the rule of a whole number in a range. @param message says what it must be */
export function wholeNumber({ min, max }: Range, message: string): Rule {
  return {
    fault: (value) => (isWithin(value, min, max) ? undefined : message),
    schema: { type: 'integer', minimum: min, maximum: max },
  };
}

/** Returns the rule of a text that matches a pattern. @param message says what it must be */
export function matching(pattern: RegExp, message: string): Rule {
  return {
    fault: (value) => (typeof value === 'string' && pattern.test(value) ? undefined : message),
    schema: { type: 'string', pattern: pattern.source },
  };
}

/** Returns the rule of a text of 1 to `max` code points, in well-formed Unicode. */
export function textUpTo(max: number): Rule {
  const fault = (value: unknown): string | undefined => {
    if (typeof value !== 'string') return 'must be a string';
    if (!value.isWellFormed()) return 'must be well-formed Unicode: it has a lone surrogate';
    // A code point has at most two UTF-16 units, so a very long text is refused without counting.
    const length = value.length > 2 * max ? Infinity : Array.from(value).length;
    return length >= 1 && length <= max ? undefined : `must be 1 to ${max} characters long`;
  };
  return { fault, schema: { type: 'string', minLength: 1, maxLength: max } };
}

/** The rule of a boolean. */
export const BOOLEAN: Rule = {
  fault: (value) => (typeof value === 'boolean' ? undefined : 'must be true or false'),
  schema: { type: 'boolean' },
};

/** The rule of any JSON value. */
export const ANYTHING: Rule = { fault: () => undefined, schema: {} };

function isWithin(value: unknown, min: number, max: number): boolean {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}
