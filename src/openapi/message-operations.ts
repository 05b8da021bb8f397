import { PULL_PARAMETERS } from '../http/routes/pull.ts';
import { STREAM_PARAMETERS } from '../http/stream-request.ts';
import type { Parameters } from '../http/parameters.ts';
import { KEY } from '../message-rules.ts';
import { listOf, named } from '../schema.ts';
import { CLOSE_CODES } from '../ws/web-socket-connection.ts';
import { FORM_TYPE, JSON_TYPE, jsonAnswer, type Operations } from './operation.ts';

const PUBLISHED = { anyOf: [named('Message'), named('MessageList')] };

const LAST_EVENT_ID: Parameters = {
  'Last-Event-ID': {
    description: 'The cursor after which the stream begins. Browsers send it when they reconnect.',
    schema: { type: 'string' },
  },
};

/** The lists of messages that have a name of their own. */
export const MESSAGE_LIST = listOf(named('Message'), { minItems: 1 });

export const MESSAGE_OPERATIONS: Operations<'/messages' | '/messages/{id}'> = {
  '/messages': {
    get: {
      operationId: 'listMessages',
      tag: 'Messages',
      summary: 'Pull messages',
      description:
        'There are three forms, which cannot be mixed. `recipient` with `after`, `limit` and `wait`: the messages after a ' +
        'cursor. `recipient` with `before` and `limit`: a page before an id. `between` twice, with `before` and `limit`: the ' +
        'messages that two addresses sent to each other.',
      grants: ['read'],
      query: PULL_PARAMETERS,
      answers: {
        200: jsonAnswer('A page, by ascending id.', { anyOf: [named('PageAfter'), named('PageBefore')] }),
      },
      refusals: [],
    },
    post: {
      operationId: 'publish',
      tag: 'Messages',
      summary: 'Publish',
      description:
        'Stores one message, or a batch as a whole and in order, and answers when it is on disk. The `stored` of a 503 says ' +
        'whether anything may have been stored.',
      grants: ['sendAs', 'sendTo'],
      headers: {
        'Idempotency-Key': {
          description:
            'The `idempotencyKey` of a single message. Not with one in the body, and not with a batch.',
          schema: KEY.schema,
        },
      },
      body: {
        [JSON_TYPE]: { anyOf: [named('Draft'), named('Batch')] },
        [FORM_TYPE]: named('FormDraft'),
      },
      answers: {
        200: jsonAnswer('Nothing new was stored. These are the messages that were stored before.', PUBLISHED),
        201: {
          ...jsonAnswer('Stored: the message, or the messages of a batch in order.', PUBLISHED),
          headers: {
            Location: {
              description: 'The path of a single message.',
              schema: { type: 'string' },
            },
          },
        },
        202: jsonAnswer('An ephemeral message was sent to the live streams.', named('EphemeralOutcome')),
      },
      refusals: ['conflict', 'too-fast'],
    },
  },
  '/messages/{id}': {
    get: {
      operationId: 'getMessage',
      tag: 'Messages',
      summary: 'One message',
      description: 'A message that the client may not read is 404, whether it exists or not.',
      grants: ['read'],
      path: { id: { description: 'The id of the message.', schema: named('MessageId') } },
      answers: { 200: jsonAnswer('The message.', named('Message')) },
      refusals: ['not-found'],
    },
  },
};

export const STREAM_OPERATIONS: Operations<'/stream' | '/ws'> = {
  '/stream': {
    get: {
      operationId: 'openStream',
      tag: 'Streams',
      summary: 'Follow inboxes as Server-Sent Events',
      description:
        'Each block of the stream is a `StreamEvent`. If `Accept` names `text/event-stream`, a 503 and the refusal of a ' +
        'session are sent as 200 with `bye`, and the stream ends.',
      grants: ['read', 'presence'],
      query: STREAM_PARAMETERS,
      headers: LAST_EVENT_ID,
      answers: {
        200: {
          description: 'A stream, which continues until the client or the server ends it.',
          content: {
            'text/event-stream': {
              type: 'string',
              description: 'Blocks, each of which ends with an empty line.',
              contentMediaType: 'text/event-stream',
              contentSchema: listOf(named('StreamEvent')),
            },
          },
        },
      },
      refusals: [],
    },
  },
  '/ws': {
    get: {
      operationId: 'openSocket',
      tag: 'Streams',
      summary: 'Follow inboxes on a WebSocket, and publish',
      description:
        'A handshake of RFC 6455. All messages are text: a `SocketEvent` from the server, a `SocketRequest` from the client. ' +
        'With the session cookie, the `Origin` must be this site or an allowed one.',
      grants: ['read', 'presence', 'sendAs', 'sendTo'],
      query: STREAM_PARAMETERS,
      headers: LAST_EVENT_ID,
      answers: {
        101: jsonAnswer(
          'The WebSocket is open. The schema is that of its messages, in both directions.',
          named('SocketMessage'),
        ),
      },
      refusals: ['upgrade-required'],
      more: {
        'x-websocket': {
          server: named('SocketEvent'),
          client: named('SocketRequest'),
          closeCodes: CLOSE_CODES,
        },
      },
    },
  },
};
