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

/** The facts about a service that its description has. */
export interface DescribedService {
  /** The prefix of its paths, as clients see them: empty, or `/…` without a slash at the end. */
  readonly basePath: string;
  /** Whether it is a node of a cluster. */
  readonly isCluster: boolean;
}

/** The document, as far as it is looked at. */
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
  Service: 'How the service is.',
};

/** When each kind of refusal is the answer. */
const REFUSALS: Readonly<Record<RefusalCode, string>> = {
  malformed: 'No body, malformed JSON, a field or parameter out of its rule, or one that is not known.',
  unauthenticated: 'No good token.',
  forbidden: 'A token, or a page, that may not. In open mode, a request that is not from the same machine.',
  'not-found': 'No such message or subscription, or none that the client may see.',
  'method-not-allowed': 'Another method than the path has.',
  'precondition-failed': '`If-Match` names another version.',
  'too-large': 'A body or content that is too large, has too many values, or comes in too many pieces.',
  'unsupported-media-type': 'Another content type or coding.',
  conflict: 'An idempotency key that was used for something else, or more subscriptions than allowed.',
  'upgrade-required': 'No handshake of a WebSocket, version 13.',
  'too-fast': 'Over the publish rate.',
  'header-too-large': 'More header fields or bytes than allowed.',
  'not-implemented': 'A `Transfer-Encoding` other than `chunked`.',
  unavailable:
    'Shutting down, full, behind or cut off from other nodes, or the log cannot be written or read.',
};

/** The refusals that say when to come back. */
const WITH_RETRY: readonly RefusalCode[] = ['too-fast', 'unavailable'];

const DESCRIPTION = `A push service over Server-Sent Events: durable before it is acknowledged, resumed exactly, in order,
nothing twice. docs/protocol.md tells what fits in no schema.

Every \`GET\` but that of \`/ws\` has a \`HEAD\`. \`OPTIONS\` answers 204 with \`Allow\`, and any other method 405. Other paths
are those of the chat page, or 404.

Without a key (open mode) everybody may do everything, no token is needed, and there are no sessions. The grants that an
operation may need are the roles of its security requirement, and a token has them in its claim \`tidings\`: see \`Claims\`.

Other things are refused, too: see \`x-limits\`.`;

/**
 * Returns the description of a service (OpenAPI 3.1). It is made from the tables by which the service checks requests: those
 * of paths, parameters, fields, grants, refusals and limits.
 *
 * @param rules those by which publishes are checked
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
          description: 'A token, with the claims of `Claims`.',
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
  // No operation is of another method than its path has.
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
  description: 'Whole seconds before the client comes back.',
  schema: { type: 'integer', minimum: 0 },
};
