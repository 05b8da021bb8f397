/** A JSON Schema (2020-12), as a description of the service has them (OpenAPI 3.1). */
export type Schema = Readonly<Record<string, unknown>>;

/** A field that may be missing. */
export interface OptionalField {
  readonly optional: Schema;
}

/** The schema of each field of a type. The compiler refuses one that lacks a field, or has another. */
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

/** Returns a schema that takes null as well. */
export function orNull(schema: Schema): Schema {
  return { anyOf: [schema, { type: 'null' }] };
}

/** Returns the schema of a list. */
export function listOf(items: Schema, more: Schema = {}): Schema {
  return { type: 'array', items, ...more };
}

/** Returns a reference to a schema that the description has by name. */
export function named(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

function isOptional(field: Schema | OptionalField): field is OptionalField {
  return 'optional' in field;
}
