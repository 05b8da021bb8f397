import type { Grant } from '../auth/identity.ts';
import { PROBLEM_STATUS, type ProblemKind, type RefusalCode } from '../errors.ts';
import type { MethodsOf, Path } from '../http/paths.ts';
import type { Parameter, Parameters } from '../http/parameters.ts';
import type { Schema } from '../schema.ts';

/** A group of operations. */
export type Tag = 'Messages' | 'Streams' | 'People' | 'Notifications' | 'Service';

/** An answer that is not a refusal. */
export interface Answer {
  readonly description: string;
  /** The schema of its body, by media type; `undefined` if it has none. */
  readonly content?: Readonly<Record<string, Schema>>;
  readonly headers?: Readonly<Record<string, Parameter>>;
}

/** An operation: the requests and answers of one method of a path. */
export interface Operation {
  readonly operationId: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly description: string;
  /** The grants that it may need; `undefined` if it needs no token. */
  readonly grants?: readonly Grant[];
  readonly path?: Parameters;
  readonly query?: Parameters;
  readonly headers?: Parameters;
  /** The schema of its body, by media type. */
  readonly body?: Readonly<Record<string, Schema>>;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Its refusals, in addition to those of every request. */
  readonly refusals: readonly RefusalCode[];
  /** Facts that OpenAPI cannot express. Their names begin with `x-`. */
  readonly more?: Readonly<Record<`x-${string}`, unknown>>;
}

export const JSON_TYPE = 'application/json';
export const FORM_TYPE = 'application/x-www-form-urlencoded';

/** The problems that every request may get. */
const OF_EVERY_REQUEST: readonly ProblemKind[] = [
  'malformed',
  'forbidden',
  'too-large',
  'request-timeout',
  'header-too-large',
  'internal',
  'not-implemented',
  'unavailable',
];

/** The operations of some paths: each method that the paths have. */
export type Operations<P extends Path> = {
  readonly [One in P]: Readonly<Record<MethodsOf<One>, Operation>>;
};

/** Returns an answer of JSON. */
export function jsonAnswer(description: string, schema: Schema): Answer {
  return { description, content: { [JSON_TYPE]: schema } };
}

/** Returns the statuses of an operation's problems, in their order. */
function problemStatuses({ grants, body, refusals }: Operation): number[] {
  const kinds: ProblemKind[] = [
    ...OF_EVERY_REQUEST,
    ...(grants === undefined ? [] : (['unauthenticated'] as const)),
    ...(body === undefined ? [] : (['unsupported-media-type'] as const)),
    ...refusals,
  ];
  const statuses = new Set(kinds.map((kind) => PROBLEM_STATUS[kind]));
  return [...statuses].sort((one, other) => one - other);
}

/** Returns an operation in the form of OpenAPI. */
export function toOpenApi(operation: Operation): object {
  const { operationId, tag, summary, description, grants, path, query, headers, body, answers, more } =
    operation;
  const parameters = [
    ...parametersIn('path', path),
    ...parametersIn('query', query),
    ...parametersIn('header', headers),
  ];
  const refused = problemStatuses(operation).map((status) => [
    status,
    { $ref: `#/components/responses/${status}` },
  ]);
  return {
    operationId,
    tags: [tag],
    summary,
    description,
    // For a scheme without scopes, the list names the roles that the client needs (OpenAPI 3.1 §4.8.30).
    security: grants === undefined ? [] : [{ bearer: grants }, { session: grants }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: contentOf(body) } }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, answerOf(answer)])),
      ...(Object.fromEntries(refused) as object),
    },
    ...more,
  };
}

function parametersIn(place: 'path' | 'query' | 'header', parameters: Parameters = {}): object[] {
  return Object.entries(parameters).map(([name, { description, schema, required = false }]) => ({
    name,
    in: place,
    description,
    required: place === 'path' || required,
    schema,
  }));
}

function answerOf({ description, content, headers }: Answer): object {
  return {
    description,
    ...(headers === undefined ? {} : { headers }),
    ...(content === undefined ? {} : { content: contentOf(content) }),
  };
}

function contentOf(content: Readonly<Record<string, Schema>>): object {
  return Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, { schema }]));
}
