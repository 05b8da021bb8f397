/** A JSON Schema (2020-12) in the description of the API (OpenAPI 3.1). */
export type Schema = Readonly<Record<string, unknown>>;

/** A field that may be missing. */
export interface OptionalField {
  readonly optional: Schema;
}

/** The schema of each field of a type. The compiler rejects an object with a field too few or too many. */
export type FieldSchemas<T> = {
  readonly [Field in keyof T]-?: Partial<Pick<T, Field>> extends Pick<T, Field> ? OptionalField : Schema;
};

/** Returns a field that may be missing. */
export function optional(schema: Schema): OptionalField {
  return { optional: schema };
}

/** Returns the schema of an object with these fields. */
export function objectOf<T>(fields: FieldSchemas<T>, description?: string): Schema {
  const all = Object.entries<Schema | OptionalField>(fields);
  const properties = all.map(([name, field]) => [name, isOptional(field) ? field.optional : field] as const);
  return {
    type: 'object',
    ...(description === undefined ? {} : { description }),
    properties: Object.fromEntries<Schema>(properties),
    required: all.filter(([, field]) => !isOptional(field)).map(([name]) => name),
  };
}

/** Returns a schema that also allows null. */
export function orNull(schema: Schema): Schema {
  return { anyOf: [schema, { type: 'null' }] };
}

/** Returns the schema of a list. */
export function listOf(items: Schema, more: Schema = {}): Schema {
  return { type: 'array', items, ...more };
}

/** Returns a reference to a named schema of the description. */
export function named(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

function isOptional(field: Schema | OptionalField): field is OptionalField {
  return 'optional' in field;
}
