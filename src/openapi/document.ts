import { tidingsVersion } from '../version.ts';
import { PROBLEM_STATUS, type ProblemKind } from '../errors.ts';
import { problemKinds, PROBLEM_TEXTS } from '../http/problem-kinds.ts';
import { type Path, pathsOf } from '../http/paths.ts';
import { MESSAGE_RULES, type MessageRules } from '../publish/message-fields.ts';
import { named, type Schema } from '../schema.ts';
import { eventSchemas } from './event-schemas.ts';
import { limits } from './limits.ts';
import { MESSAGE_LIST } from './message-operations.ts';
import { messageSchemas } from './message-schemas.ts';
import { type Operation, type Tag, toOpenApi } from './operation.ts';
import { OPERATIONS } from './operations.ts';
import { CLUSTER_SCHEMAS, PEOPLE_SCHEMAS, PUSH_SCHEMAS, SERVICE_SCHEMAS } from './schemas.ts';

/** The facts about a service that its description depends on. */
export interface DescribedService {
  /** The prefix of its paths, as clients see them: empty, or `/…` without a slash at the end. */
  readonly basePath: string;
  /** Whether it is a node of a cluster. */
  readonly isCluster: boolean;
}

/** The document, with the fields that are read here or in tests. */
export interface OpenApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, object>>;
  readonly components: Readonly<
    Record<'securitySchemes' | 'responses' | 'schemas', Readonly<Record<string, Schema>>>
  >;
  readonly [field: string]: unknown;
}

const TAGS: Readonly<Record<Tag, string>> = {
  Messages: 'Publishing messages, and pulling them from inboxes and history.',
  Streams: 'Following inboxes: each message exactly once, in order, from where the client was.',
  People: 'Conversations, presence and sessions.',
  Notifications: 'Web Push to devices without an open page.',
  Service: 'The state of the service.',
};

/** The refusals that say when to try again. */
const WITH_RETRY: readonly ProblemKind[] = ['too-fast', 'unavailable'];

const DESCRIPTION = `A push service over Server-Sent Events. A message is on disk before it is acknowledged. A stream resumes where it
was interrupted, and each message arrives in order and only once. docs/protocol.md describes what no schema can express.

Every path with \`GET\` has \`HEAD\` as well, except \`/ws\`. \`OPTIONS\` answers 204 with \`Allow\`, and any other method 405. All
other paths belong to the chat page, or are 404.

Without a key (open mode), everybody may do everything, no token is needed, and there are no sessions. The grants that an
operation may need are the roles of its security requirement. A token has them in its claim \`tidings\`: see \`Claims\`.

For limits that no schema can express, see \`x-limits\`.`;

/**
 * Returns the description of a service (OpenAPI 3.1). It is made from the tables that the service checks requests with: paths,
 * parameters, fields, grants, refusals and limits.
 *
 * @param rules the rules for checking publishes
 */
export function openApiDocument(
  { basePath, isCluster }: DescribedService,
  rules: MessageRules = MESSAGE_RULES,
): OpenApiDocument {
  const paths = pathsOf(isCluster);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tidings',
      version: tidingsVersion(),
      description: DESCRIPTION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: basePath === '' ? '/' : basePath }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: Object.fromEntries(paths.map((path) => [path, pathItem(path)])),
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'A token with the claims in `Claims`.',
        },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-tidings',
          description:
            'The same token in the cookie that `PUT /session` sets. Its name is `__Secure-tidings` below a path, and ' +
            '`tidings` over http on loopback.',
        },
      },
      responses: problemResponses(),
      schemas: {
        ...messageSchemas(rules),
        MessageList: MESSAGE_LIST,
        ...eventSchemas(),
        ...PEOPLE_SCHEMAS,
        ...PUSH_SCHEMAS,
        ...SERVICE_SCHEMAS,
        ...(isCluster ? CLUSTER_SCHEMAS : {}),
      },
    },
    'x-limits': limits(rules),
  };
}

function pathItem(path: Path): object {
  const methods = Object.entries<Operation>(OPERATIONS[path]);
  return Object.fromEntries(methods.map(([method, operation]) => [method, toOpenApi(operation)]));
}

/** Returns the response of each status of a problem. */
function problemResponses(): Readonly<Record<string, Schema>> {
  // An operation always has a method of its path.
  const kinds = problemKinds().filter((kind) => kind !== 'method-not-allowed');
  const responses = kinds.map((kind) => [
    PROBLEM_STATUS[kind],
    {
      description: PROBLEM_TEXTS[kind].when,
      ...(WITH_RETRY.includes(kind) ? { headers: { 'Retry-After': RETRY_AFTER } } : {}),
      content: { 'application/problem+json': { schema: named('Problem') } },
    },
  ]);
  return Object.fromEntries(responses) as Readonly<Record<string, Schema>>;
}

const RETRY_AFTER = {
  description: 'Whole seconds to wait before the next attempt.',
  schema: { type: 'integer', minimum: 0 },
};
