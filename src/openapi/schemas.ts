import { CLAIMS_SCHEMA, GRANTS } from '../auth/identity.ts';
import type { Snapshot } from '../cluster/snapshot-list.ts';
import type { ClusterView, LogView, NodeName, NodeView } from '../cluster/status.ts';
import { type FieldError, MAX_ERRORS, MAY_BE_STORED } from '../errors.ts';
import { problemKinds } from '../http/problem-kinds.ts';
import { SUBSCRIBE_FIELDS, UNSUBSCRIBE_FIELDS } from '../http/routes/push-subscriptions.ts';
import type { Conversation, RoomState } from '../log/conversation.ts';
import type { Retention } from '../log/retention.ts';
import { listOf, named, objectOf, optional, orNull, type Schema } from '../schema.ts';
import { PRESENCE_FIELDS } from './event-schemas.ts';
import { COUNT, TIME } from './message-schemas.ts';

const TEXT: Schema = { type: 'string' };
const FLAG: Schema = { type: 'boolean' };
const READ_THROUGH: Schema = orNull(named('MessageId'));

/** The schemas of presence, conversations and sessions, by name. */
export const PEOPLE_SCHEMAS: Readonly<Record<string, Schema>> = {
  Presence: objectOf<typeof PRESENCE_FIELDS>(PRESENCE_FIELDS, 'Whether an address is online.'),
  Presences: { type: 'object', description: 'By address.', additionalProperties: named('Presence') },
  Conversation: objectOf<Conversation>(
    {
      peer: named('Address'),
      lastMessage: orNull(named('Message')),
      unread: COUNT,
      readThrough: READ_THROUGH,
      peerReadThrough: READ_THROUGH,
    },
    'The conversation of an address with another one. `unread` counts only to 1000.',
  ),
  RoomState: objectOf<RoomState>(
    {
      room: named('Address'),
      lastMessage: orNull(named('Message')),
      unread: COUNT,
      readThrough: READ_THROUGH,
    },
    'The state of an address in a room. `unread` counts only to 1000.',
  ),
  Conversations: objectOf<{ conversations: unknown; cursor: unknown; more: unknown; before?: unknown }>({
    conversations: { anyOf: [listOf(named('Conversation')), listOf(named('RoomState'), { maxItems: 1 })] },
    cursor: named('Cursor'),
    more: FLAG,
    before: optional({ ...COUNT, description: 'The `before` of the next page, if there is one.' }),
  }),
  GrantClaim: {
    type: 'object',
    description: 'The grants of a token: its claim `tidings`.',
    properties: Object.fromEntries(
      Object.entries(GRANTS).map(([name, { schema, description }]) => [name, { ...schema, description }]),
    ),
    additionalProperties: false,
  },
  Claims: { ...CLAIMS_SCHEMA, description: 'The claims of a token (a JSON Web Token).' },
  Session: objectOf<{ sub: unknown; expiresAt: unknown; grants: unknown }>(
    {
      sub: { ...orNull(named('Address')), description: 'Null in open mode.' },
      expiresAt: orNull(TIME),
      grants: {
        ...objectOf<typeof GRANTS>({
          sendAs: GRANTS.sendAs.schema,
          sendTo: GRANTS.sendTo.schema,
          read: GRANTS.read.schema,
          presence: GRANTS.presence.schema,
          rate: { ...orNull(GRANTS.rate.schema), description: 'Null if there is no limit.' },
          metrics: GRANTS.metrics.schema,
        }),
        description: 'The grants of the client, with defaults for those that its token does not name.',
      },
    },
    'The name and the grants of the client.',
  ),
};

/** The schemas of subscriptions to notifications, by name. */
export const PUSH_SCHEMAS: Readonly<Record<string, Schema>> = {
  PushKey: objectOf<{ publicKey: unknown }>({
    publicKey: {
      ...TEXT,
      description: 'Base64url: the `applicationServerKey` of `PushManager.subscribe()`.',
    },
  }),
  Subscribe: {
    ...objectOf<Record<keyof typeof SUBSCRIBE_FIELDS, unknown>>(SUBSCRIBE_FIELDS),
    required: ['subscription'],
    additionalProperties: false,
  },
  Unsubscribe: {
    description: 'Ends one subscription by its id, or the subscriptions of a device by its endpoint.',
    oneOf: [
      { ...objectOf<{ id: unknown }>({ id: UNSUBSCRIBE_FIELDS.id }), additionalProperties: false },
      {
        ...objectOf<{ endpoint: unknown; recipient?: unknown }>({
          endpoint: UNSUBSCRIBE_FIELDS.endpoint,
          recipient: optional(UNSUBSCRIBE_FIELDS.recipient),
        }),
        additionalProperties: false,
      },
    ],
  },
  PushSubscription: objectOf({
    id: { type: 'integer', minimum: 1 },
    recipient: named('Address'),
    reader: named('Address'),
    sub: { ...orNull(named('Address')), description: 'The client that made it; null in open mode.' },
    endpoint: { ...TEXT, description: 'Shortened: it is a secret.' },
    createdAt: TIME,
    expirationTime: { type: ['number', 'null'] },
  }),
  PushSubscriptions: objectOf<{ subscriptions: unknown; after?: unknown }>({
    subscriptions: listOf(named('PushSubscription')),
    after: optional({
      type: 'integer',
      minimum: 1,
      description: 'The `after` of the next page, if there may be one.',
    }),
  }),
};

/** The schemas of the service itself, by name. */
export const SERVICE_SCHEMAS: Readonly<Record<string, Schema>> = {
  Problem: objectOf<{
    type: unknown;
    title: unknown;
    status: unknown;
    detail: unknown;
    stored?: unknown;
    errors?: unknown;
  }>(
    {
      type: {
        type: 'string',
        pattern: `/problems#(${problemKinds().join('|')})$`,
        description: 'The kind of problem, and the address of its section on a page that explains it.',
      },
      title: TEXT,
      status: { type: 'integer', minimum: 400, maximum: 599 },
      detail: { ...TEXT, description: 'A sentence for people. Its wording may change.' },
      stored: optional({
        enum: MAY_BE_STORED,
        description: 'In the 503 of a publish: whether anything may have been stored.',
      }),
      errors: optional({
        ...listOf(named('FieldError'), { minItems: 1, maxItems: MAX_ERRORS }),
        description: 'The bad fields.',
      }),
    },
    'A refusal (RFC 9457).',
  ),
  FieldError: objectOf<FieldError>({
    path: {
      type: 'string',
      pattern: '^(/|$)',
      description:
        'A JSON Pointer into the body, or into the query, read as an object. For a header, a slash and its name.',
    },
    message: { ...TEXT, description: 'The end of a sentence that begins with the field.' },
  }),
  Health: objectOf<{ status: unknown }>({ status: { const: 'ok' } }),
  Readiness: objectOf<{ status: unknown }>({ status: { const: 'ready' } }),
};

const SNAPSHOT: Schema = objectOf<Snapshot>({
  id: TEXT,
  logId: TEXT,
  generation: COUNT,
  sequence: COUNT,
  head: COUNT,
  bytes: COUNT,
  sha256: TEXT,
  schema: COUNT,
  time: { ...COUNT, description: 'Milliseconds since 1970.' },
  seconds: { type: 'number', minimum: 0 },
});

const NODE_NAME: Schema = objectOf<NodeName>({ id: TEXT, name: TEXT });

/** The schemas that only a node of a cluster needs, by name. */
export const CLUSTER_SCHEMAS: Readonly<Record<string, Schema>> = {
  Node: objectOf<NodeView>({
    id: TEXT,
    name: TEXT,
    version: TEXT,
    ready: FLAG,
    why: { type: ['string', 'null'] },
    divergedAt: { type: ['integer', 'null'] },
    position: COUNT,
    lag: { type: ['integer', 'null'] },
    connections: COUNT,
    since: TIME,
  }),
  Cluster: objectOf<ClusterView>(
    {
      node: TEXT,
      nodes: listOf(named('Node')),
      log: objectOf<LogView>({
        logId: { type: ['string', 'null'] },
        generation: { type: ['integer', 'null'] },
        first: { type: ['integer', 'null'] },
        last: { type: ['integer', 'null'] },
      }),
      retention: objectOf<Retention>({ days: { type: 'number', minimum: 0 }, messages: COUNT }),
      lease: orNull(NODE_NAME),
      snapshot: orNull(SNAPSHOT),
      natsFlushes: { enum: ['yes', 'no', 'unknown'] },
    },
    'The cluster as the node that answers sees it.',
  ),
};
