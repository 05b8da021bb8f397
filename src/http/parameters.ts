import { EVERYTHING } from '../address.ts';
import type { Range } from '../rule.ts';
import { listOf, named, type Schema } from '../schema.ts';

/** A parameter of a query, as the description of the API shows it. `Query` applies the same bounds. */
export interface Parameter {
  readonly description: string;
  readonly schema: Schema;
  readonly required?: boolean;
}

/** The parameters of a request, by name. A query with any other is refused. */
export type Parameters = Readonly<Record<string, Parameter>>;

/** A parameter with a range: of its value, or of how often it may be given. */
export type RangeParameter = Parameter & Range;

/** The highest id that a message can have. */
export const MAX_ID = Number.MAX_SAFE_INTEGER;

export const NO_PARAMETERS: Parameters = {};

/** How many inboxes a client may follow at once. */
export const INBOXES: Range = { min: 1, max: 100 };

/** Returns a whole number in a range. @param otherwise the value if it is not given */
export function integer(range: Range, description: string, otherwise?: number): RangeParameter {
  const { min, max } = range;
  const byDefault = otherwise === undefined ? {} : { default: otherwise };
  return { ...range, description, schema: { type: 'integer', minimum: min, maximum: max, ...byDefault } };
}

/** Returns a parameter that is given once for each of several addresses. */
export function addresses({ min, max }: Range, description: string): RangeParameter {
  return { min, max, description, schema: listOf(named('Address'), { minItems: min, maxItems: max }) };
}

/** Returns a parameter that is one address. */
export function oneAddress(description: string): RangeParameter {
  return { min: 1, max: 1, description, schema: named('Address') };
}

/** Returns the inboxes to follow: addresses, or all of the log. */
export function inboxes(description: string): Parameter {
  const everything = listOf({ const: EVERYTHING }, { minItems: 1 });
  return { description, schema: { anyOf: [addresses(INBOXES, '').schema, everything] } };
}

/** The id of a message to read back from. */
export const BEFORE: Parameter = {
  description:
    'The newest messages with ids lower than this one; `latest` begins with the newest message of all.',
  schema: { anyOf: [{ type: 'integer', minimum: 1, maximum: MAX_ID }, { const: 'latest' }] },
};

/** A cursor: a position in the log. */
export function cursor(description: string): Parameter {
  return { description, schema: { type: 'string', examples: ['42-k3f9ab', '0'] } };
}
