import { tidingsVersion } from '../version.ts';
import { type RefusalCode, REFUSAL_STATUS } from '../errors.ts';
import { type Path, pathsOf } from '../http/paths.ts';
import { MESSAGE_RULES, type MessageRules } from '../publish/message-fields.ts';
import { named, type Schema } from '../schema.ts';
import { eventSchemas } from './event-schemas.ts';
import { limits } from './limits.ts';
import { MESSAGE_LIST } from './message-operations.ts';
import { messageSchemas } from './message-schemas.ts';
import { type Operation, OTHER_STATUSES, type Tag, toOpenApi } from './operation.ts';
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

/** The reasons for each kind of refusal. */
const REFUSALS: Readonly<Record<RefusalCode, string>> = {
  malformed:
    'There is no body, the JSON is malformed, or a field or parameter is unknown or breaks its rule.',
  unauthenticated: 'There is no valid token.',
  forbidden:
    'The token or the page is not allowed to do this. In open mode, the request is not from the same machine.',
  'not-found': 'There is no such message or subscription, or none that the client may see.',
  'method-not-allowed': 'The path does not have this method.',
  'precondition-failed': '`If-Match` names another version.',
  'too-large': 'The body or content is too large, has too many values, or arrives in too many pieces.',
  'unsupported-media-type': 'The content type or coding is not supported.',
  conflict:
    'The idempotency key was used for something else, or there would be more subscriptions than allowed.',
  'upgrade-required': 'The request is not a WebSocket handshake of version 13.',
  'too-fast': 'The client publishes faster than its rate.',
  'header-too-large': 'The header has more fields or bytes than allowed.',
  'not-implemented': 'The `Transfer-Encoding` is not `chunked`.',
  unavailable:
    'The service is shutting down, full, behind or cut off from other nodes, or cannot write or read its log.',
};

/** The refusals that say when to try again. */
const WITH_RETRY: readonly RefusalCode[] = ['too-fast', 'unavailable'];

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
      responses: refusalResponses(),
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

/** Returns the response of each status of a refusal. */
function refusalResponses(): Readonly<Record<string, Schema>> {
  // An operation always has a method of its path.
  const codes = (Object.keys(REFUSALS) as RefusalCode[]).filter((code) => code !== 'method-not-allowed');
  const ofCodes = codes.map(
    (code) => [REFUSAL_STATUS[code], REFUSALS[code], WITH_RETRY.includes(code)] as const,
  );
  const others = Object.entries(OTHER_STATUSES).map(
    ([status, text]) => [Number(status), text, false] as const,
  );
  const responses = [...ofCodes, ...others].map(([status, description, hasRetry]) => [
    String(status),
    {
      description,
      ...(hasRetry ? { headers: { 'Retry-After': RETRY_AFTER } } : {}),
      content: { 'application/problem+json': { schema: named('Problem') } },
    },
  ]);
  return Object.fromEntries(responses) as Readonly<Record<string, Schema>>;
}

const RETRY_AFTER = {
  description: 'Whole seconds to wait before the next attempt.',
  schema: { type: 'integer', minimum: 0 },
};
