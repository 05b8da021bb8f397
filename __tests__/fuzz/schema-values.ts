/** Values that a JSON Schema takes, and values that it nearly takes, for fast-check. */
import fc from 'fast-check';

export type Schema = Readonly<Record<string, unknown>>;

/** Makes values of the schemas of a document. */
export class SchemaValues {
  readonly #document: unknown;
  readonly #samples: ReadonlyMap<string, fc.Arbitrary<unknown>>;

  /**
   * @param document that `$ref` points into
   * @param samples values for what no schema can say, by the `$ref`, `format` or `pattern` of the schema
   */
  constructor(document: unknown, samples: Readonly<Record<string, fc.Arbitrary<unknown>>>) {
    this.#document = document;
    this.#samples = new Map(Object.entries(samples));
  }

  /** Returns values that are of the schema, but for what `not` and `if` refuse. */
  of(schema: Schema): fc.Arbitrary<unknown> {
    for (const key of ['$ref', 'format', 'pattern']) {
      const sample = this.#samples.get(String(schema[key]));
      if (sample !== undefined) return sample;
    }
    if (typeof schema['$ref'] === 'string') return this.of(this.#resolve(schema['$ref']));
    const branches = (schema['anyOf'] ?? schema['oneOf']) as readonly Schema[] | undefined;
    if (branches !== undefined) return fc.oneof(...branches.map((branch) => this.of(branch)));
    if ('const' in schema) return fc.constant(schema['const']);
    if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]));
    switch (schema['type']) {
      case 'object':
        return this.#object(schema);
      case 'array':
        return this.#list(schema);
      case 'integer':
        return integer(schema);
      case 'number':
        return fc.oneof(integer(schema), fc.constant(0.5));
      case 'boolean':
        return fc.boolean();
      case 'null':
        return fc.constant(null);
      case 'string':
        return text(schema);
      default:
        return fc.jsonValue({ maxDepth: 2 });
    }
  }

  /** Returns such values, and such with one thing changed. */
  near(schema: Schema): fc.Arbitrary<unknown> {
    const changed = fc
      .tuple(this.of(schema), fc.nat(), fc.nat(), ODD)
      .map(([value, at, how, odd]) => change(value, at, how, odd));
    return fc.oneof({ arbitrary: this.of(schema), weight: 3 }, { arbitrary: changed, weight: 2 });
  }

  #resolve(reference: string): Schema {
    const names = reference.slice(2).split('/');
    let found = this.#document;
    for (const name of names) found = (found as Record<string, unknown>)[name];
    return found as Schema;
  }

  #object(schema: Schema): fc.Arbitrary<unknown> {
    const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>);
    const fields = Object.fromEntries(properties.map(([name, field]) => [name, this.of(field)]));
    const required = (schema['required'] ?? []) as string[];
    // Seldom, since most of them exclude each other.
    return fc
      .tuple(fc.record(fields), fc.array(fc.constantFrom(...Object.keys(fields)), { maxLength: 3 }))
      .map(([all, chosen]) => {
        const kept = Object.entries(all).filter(([name]) => required.includes(name) || chosen.includes(name));
        return Object.fromEntries(kept);
      });
  }

  #list({ items, minItems = 0, maxItems = 3 }: Schema): fc.Arbitrary<unknown> {
    const [min, max] = [Number(minItems), Number(maxItems)];
    const few = fc.array(this.of(items as Schema), {
      minLength: min,
      maxLength: Math.max(min, Math.min(max, 3)),
    });
    if (max > 100) return few;
    // As many as there may be, and one more.
    const many = fc
      .constantFrom(max, max + 1)
      .map((length) => Array.from({ length }, (_none, index) => `many-${index}`));
    return fc.oneof({ arbitrary: few, weight: 9 }, { arbitrary: many, weight: 1 });
  }
}

/** Values that break a rule in some place. */
const ODD: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    [],
    {},
    '',
    ' ',
    '*',
    '$a',
    ' a',
    'a ',
    'a*',
    'a\u0000',
    'a\u200b',
    'é'.normalize('NFD'),
  ),
  fc.constantFrom<unknown>(-1, 0, 1, 1.5, 1000, 1001, 31_536_000, 31_536_001, 2 ** 53 - 1, 2 ** 53, 1e300),
  fc.constantFrom(127, 128, 129).map((length) => 'a'.repeat(length)),
  fc.constantFrom(128, 129).map((length) => '🌊'.repeat(length)),
  fc.string(),
  fc.string({ unit: 'binary' }).filter((one) => one.isWellFormed()),
);

/** Changes a value in one place: takes a field away, adds one, or puts something odd in the place of a part. */
function change(value: unknown, at: number, how: number, odd: unknown): unknown {
  if (Array.isArray(value) && value.length > 0 && how % 4 !== 0) {
    const index = at % value.length;
    return value.with(index, change(value[index], at >> 3, how >> 2, odd));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return odd;
  const entries = Object.entries(value as Record<string, unknown>);
  const index = entries.length === 0 ? 0 : at % entries.length;
  switch (how % 8) {
    case 0:
      return odd;
    case 1:
      return Object.fromEntries([...entries, ['unknown', odd]]);
    case 2:
      return Object.fromEntries(entries.toSpliced(index, 1));
    default:
      return Object.fromEntries(
        entries.map(([name, part], place) => [
          name,
          place === index ? change(part, at >> 3, how >> 3, odd) : part,
        ]),
      );
  }
}

function integer({ minimum = 0, maximum = 2 ** 31, exclusiveMinimum }: Schema): fc.Arbitrary<number> {
  const [min, max] = [Number(exclusiveMinimum ?? minimum), Number(maximum)];
  return fc.oneof(
    fc.constantFrom(min, max),
    fc.maxSafeInteger().map((any) => min + (Math.abs(any) % Math.min(max - min + 1, 100))),
  );
}

function text({ pattern, minLength = 0, maxLength = 40 }: Schema): fc.Arbitrary<string> {
  if (typeof pattern === 'string') return fc.stringMatching(new RegExp(pattern));
  const [min, max] = [Number(minLength), Math.min(Number(maxLength), 40)];
  return fc.string({ minLength: min, maxLength: max });
}
