import { MAX_RETRY_MILLISECONDS } from '../hub/outage.ts';
import { named, objectOf, optional, orNull, type Schema } from '../schema.ts';
import { KEY } from '../message-rules.ts';
import type { WirePresence } from '../wire/presence-state.ts';
import { BYE_REASONS, RETRY_SERVED, type ServerEvents, UNAVAILABLE } from '../wire/server-events.ts';
import { COUNT, TIME } from './message-schemas.ts';

/** The data of an event of the server. Its `type` is the name of the event. */
type DataOf<Event extends keyof ServerEvents> = { readonly type: Event } & ServerEvents[Event];

/** The fields of a presence. */
export const PRESENCE_FIELDS = {
  online: { type: 'boolean' },
  devices: { ...COUNT, description: 'The number of open streams, sockets and held polls.' },
  lastSeen: {
    ...orNull(TIME),
    description: 'Null if the address has not been seen since the start of the service.',
  },
} satisfies Record<keyof WirePresence, Schema>;

/** The data of each event of the server, by its name. */
const EVENT_DATA: { readonly [Event in keyof ServerEvents]: Schema } = {
  ready: objectOf<DataOf<'ready'>>(
    {
      type: { const: 'ready' },
      cursor: named('Cursor'),
      gap: named('Gap'),
      heartbeatSeconds: { type: 'number', exclusiveMinimum: 0 },
      expiresAt: optional({
        ...TIME,
        description: 'The time at which the token expires and the stream ends.',
      }),
    },
    'The first event of every stream that is not refused.',
  ),
  live: objectOf<DataOf<'live'>>(
    { type: { const: 'live' }, cursor: named('Cursor'), replayed: COUNT },
    'The replay has ended: from now on, messages arrive as they are published.',
  ),
  heartbeat: objectOf<DataOf<'heartbeat'>>(
    { type: { const: 'heartbeat' }, at: TIME },
    'Nothing was sent for `heartbeatSeconds`.',
  ),
  presence: objectOf<DataOf<'presence'>>(
    { type: { const: 'presence' }, recipient: named('Address'), ...PRESENCE_FIELDS },
    'The presence of an address: once after `ready`, then at each change.',
  ),
  bye: objectOf<DataOf<'bye'>>(
    { type: { const: 'bye' }, reason: { enum: [...BYE_REASONS, UNAVAILABLE] } },
    'The last event of a stream: the server then closes it.',
  ),
};

const RETRY: Schema = {
  type: 'integer',
  minimum: RETRY_SERVED.min,
  description: 'Milliseconds before the client connects again.',
};

/** A frame: the fields around the data of an event. */
interface FrameForm {
  /** The name of the schema of its data. */
  readonly data: string;
  /** The event on a WebSocket. */
  readonly event: string;
  readonly id: 'always' | 'sometimes' | 'never';
  readonly retry: Schema | undefined;
}

/** Every frame of the server. */
const FRAMES: readonly FrameForm[] = [
  { data: 'Message', event: 'message', id: 'always', retry: undefined },
  { data: 'EphemeralMessage', event: 'message', id: 'never', retry: undefined },
  { data: 'Ready', event: 'ready', id: 'always', retry: { ...RETRY, maximum: RETRY_SERVED.max } },
  { data: 'Live', event: 'live', id: 'always', retry: undefined },
  { data: 'Heartbeat', event: 'heartbeat', id: 'never', retry: undefined },
  { data: 'PresenceChange', event: 'presence', id: 'never', retry: undefined },
  { data: 'Bye', event: 'bye', id: 'sometimes', retry: { ...RETRY, maximum: MAX_RETRY_MILLISECONDS } },
];

const REF: Schema = { ...KEY.schema, description: "The client's name for its publish." };

/** Returns the schemas of everything that is sent on streams and sockets, by name. */
export function eventSchemas(): Readonly<Record<string, Schema>> {
  const published = { anyOf: ['Message', 'MessageList', 'EphemeralOutcome'].map(named) };
  return {
    Ready: EVENT_DATA.ready,
    Live: EVENT_DATA.live,
    Heartbeat: EVENT_DATA.heartbeat,
    PresenceChange: EVENT_DATA.presence,
    Bye: EVENT_DATA.bye,
    StreamEvent: {
      description:
        'A block of an event stream, with its fields as text. `data` is one line of JSON. Messages have no `event`, so ' +
        "that EventSource's `onmessage` sees them.",
      oneOf: FRAMES.map((frame) => frameSchema(frame, streamFields)),
    },
    SocketMessage: {
      description: 'A message on a WebSocket, from the server or from the client.',
      anyOf: [named('SocketEvent'), named('SocketRequest')],
    },
    SocketEvent: {
      description: 'A message from the server on a WebSocket: an event, or the answer to a publish.',
      oneOf: [
        ...FRAMES.map((frame) => frameSchema(frame, socketFields)),
        objectOf<{ event: unknown; ref?: unknown; data: unknown }>({
          event: { const: 'published' },
          ref: optional(REF),
          data: published,
        }),
        objectOf<{ event: unknown; ref?: unknown; data: unknown; retry?: unknown }>({
          event: { const: 'refused' },
          ref: optional(REF),
          data: named('Problem'),
          retry: optional({
            type: 'integer',
            minimum: 0,
            description: 'Milliseconds before the next publish.',
          }),
        }),
      ],
    },
    SocketRequest: {
      ...objectOf<{ publish: unknown; ref?: unknown }>(
        {
          publish: { anyOf: [named('Draft'), named('Batch')] },
          ref: optional({ ...REF, description: "The client's name for the publish. The answer repeats it." }),
        },
        'A message from a client on a WebSocket, which publishes.',
      ),
      additionalProperties: false,
    },
  };
}

/** Returns the fields of a frame in one protocol, except `id` and `retry`. */
type FieldsOf = (frame: FrameForm) => Readonly<Record<string, Schema>>;

const streamFields: FieldsOf = ({ event, data }) => ({
  ...(event === 'message' ? {} : { event: { const: event } }),
  data: { type: 'string', contentMediaType: 'application/json', contentSchema: named(data) },
});

const socketFields: FieldsOf = ({ event, data }) => ({ event: { const: event }, data: named(data) });

function frameSchema(frame: FrameForm, fieldsOf: FieldsOf): Schema {
  const fields = fieldsOf(frame);
  return {
    type: 'object',
    properties: {
      ...fields,
      ...(frame.id === 'never' ? {} : { id: named('Cursor') }),
      ...(frame.retry === undefined ? {} : { retry: frame.retry }),
    },
    required: [
      ...Object.keys(fields),
      ...(frame.id === 'always' ? ['id'] : []),
      ...(frame.retry === undefined ? [] : ['retry']),
    ],
    additionalProperties: false,
  };
}
